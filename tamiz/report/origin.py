"""How a run was made: when, by what command, on what machine, with what language model, sampler and settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from corpora import lm_json, manifest
from corpora.errors import DamagedFile
from corpora.manifest import InputIdentity, Manifest
from tamiz.cards.dataset import perplexity_ranges
from tamiz.console import size
from tamiz.log import without_secrets
from tamiz.recipes.schema import DESCRIBED
from tamiz.report.folders import Scored
from tamiz.report.html import checksum, code, escaped, folded, low, pairs, table
from tamiz.report.runlog import Logged, last_command
from tamiz.report.values import name_of, percent
from tamiz.stages.sample import kernel_text

LOW = 0.01  # shares of kept documents below this are marked
FEW = 50  # documents; shares of fewer are not marked
MOST_GROUPS = 60
_HEADER = (*DESCRIBED, "sources")  # keys of a recipe that are no settings

_AMOUNTS = {"keep": "kept share, asked for", "keep_documents": "documents to keep", "factor": "factor"}

Rows = list[tuple[str, str]]


def made(scored: Scored, manifests: Mapping[str, Manifest]) -> str:
    """HTML: date, command, machine and seed, and the settings behind a fold."""
    logged = last_command(scored.home)
    rows: Rows = [("date", _dates(manifests))]
    if logged:
        rows += _command(logged)
    else:
        rows.append(("tamiz", next((m.versions["tamiz"] for m in manifests.values() if "tamiz" in m.versions), "–")))
    settings = dict(_settings(scored, manifests))
    seeds = {key.removesuffix("seed").rstrip("."): value for key, value in settings.items() if key.endswith("seed")}
    if seeds:
        same = len(set(seeds.values())) == 1
        rows.append(("seed", next(iter(seeds.values())) if same else _listed(seeds)))
    if scored.language:
        rows.append(("language", scored.language))
    rows += _documents(scored.scored.made_from.inputs)
    shown = pairs(("key", "value"), list(settings.items()))
    return pairs(("what", "value"), rows) + folded(f"All {len(settings)} settings", shown)


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _dates(manifests: Mapping[str, Manifest]) -> str:
    begun = min((m.times["begun"] for m in manifests.values() if "begun" in m.times), default="")
    finished = max((m.times["finished"] for m in manifests.values() if "finished" in m.times), default="")
    first, last = (time[:16].replace("T", " ") for time in (begun, finished))
    if not first or first == last:
        return f"{last or first} UTC" if last or first else "–"
    return f"{first} to {last[11:] if last[:10] == first[:10] else last} UTC"


def _command(logged: Logged) -> Rows:
    rows: Rows = [("command", code(f"tamiz {shlex.join(logged.arguments)}"))]
    if logged.commands > 1:
        rows.append(("", f"{logged.commands} commands in all: see {manifest.LOG}"))
    rows.append(("tamiz", f"{logged.versions.get('tamiz', '–')}, Python {logged.python}"))
    machine = [f"{logged.machine['cores']} cores"] if logged.machine.get("cores") else []
    if logged.machine.get("memory_bytes"):
        machine.append(f"{size(logged.machine['memory_bytes'])} of memory")
    machine += [logged.gpu] if logged.gpu else []
    machine += [str(logged.machine["system"])] if logged.machine.get("system") else []
    return [*rows, ("machine", ", ".join(machine))]


def _documents(inputs: list[InputIdentity]) -> Rows:
    names = ", ".join(one.name for one in inputs[:3]) + (" …" if len(inputs) > 3 else "")
    files = "1 file" if len(inputs) == 1 else f"{len(inputs):,} files"
    known = sum(one.size or 0 for one in inputs)
    unknown = " and files of unknown size" if any(one.size is None for one in inputs) else ""
    return [("documents", f"{files}, {size(known)}{unknown}: {names}")]


def _settings(scored: Scored, manifests: Mapping[str, Manifest]) -> Iterator[tuple[str, str]]:
    """The resolved settings by path, without secrets: those of the recipe, else those of the manifests."""
    if scored.recipe:
        tree: Mapping[str, Any] = {key: value for key, value in scored.recipe.items() if key not in _HEADER}
    else:
        tree = {content.stage: content.made_from.settings for content in manifests.values()}
    for path, value in _leaves(tree, ""):
        if isinstance(value, str):
            yield path, without_secrets([value])[0]
        elif value is not None:
            yield path, msgspec.json.encode(value).decode()


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that isn't a table, nor a list of tables."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list) and tree and isinstance(tree[0], list | Mapping):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{path}.{number}")
    elif isinstance(tree, list):
        yield path, ", ".join(str(value) for value in tree) or None  # an empty list sets nothing
    else:
        yield path, tree


def language_models(scored: Scored) -> str:
    """HTML: the models of a run by their LM.json, else what the scores say of theirs."""
    folder = scored.home / "lm"
    names = [name for name in folder.entries() if name.endswith(".json") and "/" not in name]
    tables = [_model(folder.at(name)) for name in names if lm_json.is_lm_json(folder.at(name))]
    if tables:
        return "".join(tables)
    settings = scored.scored.made_from.settings
    rows: Rows = [("mode", str(settings["mode"]))] if settings.get("mode") else []
    models: Mapping[str, Any] = settings.get("models", {"": settings})
    for language, model in models.items():
        for key in ("lm_sha256", "tokenizer_sha256"):
            if model.get(key):
                rows.append((f"{name_of(key)} {language}".strip(), checksum(model[key])))
    return pairs(("what", "value"), rows) if rows else ""


def _model(path: str) -> str:
    try:
        content = lm_json.read(path)
    except DamagedFile:
        return ""
    facts = content.facts
    ngrams = facts.get("counts") or []
    rows: Rows = [
        ("file", f"{path.rpartition('/')[2].removesuffix('.json')}.bin"),
        ("order", f"{facts.get('order', '–')}, with {' / '.join(f'{n:,}' for n in ngrams)} n-grams"),
        ("mode", str(facts.get("mode", "–"))),
    ]
    if facts.get("sentences"):
        rows.append(("trained on", f"{facts['sentences']:,} sentences"))
    rows += _documents(content.made_from.inputs) if content.made_from.inputs else []
    rows.append(("checksum of the model", checksum(facts["lm_sha256"])))
    return pairs(("what", "value"), rows)


def sampler(scored: Scored) -> str:
    """HTML: the sampler's curve, what was asked and kept, by quartile and by the sample's groups."""
    if scored.sample is None:
        return ""
    facts, asked = scored.sample.facts, scored.sample.made_from.settings
    rows: Rows = [("method", str(asked.get("method", "–")))]
    if len(facts.get("groups", {})) <= 1:
        rows.append(("keep probability", kernel_text(facts["kernel"])))
    for key, name in _AMOUNTS.items():
        if asked.get(key) is not None:
            rows.append((name, _shares(asked[key]) if key == "keep" else f"{asked[key]:,}"))
    rows += [("kept share, expected", percent(facts["expected_share"]))] if "expected_share" in facts else []
    told = [facts.get("flat_warning"), *facts.get("lost_warnings", [])]
    warnings = "".join(f'<p class="problem">{escaped(line)}</p>' for line in told if line)
    tables = _quartiles(facts) + _groups(facts.get("groups", {})) + _sources(facts.get("sources", {}), asked)
    return pairs(("what", "value"), rows) + warnings + tables


def _shares(keep: float | Mapping[str, float]) -> str:
    """One share, or one for each group."""
    if isinstance(keep, Mapping):
        return ", ".join(f"{group} {percent(share)}" for group, share in keep.items())
    return percent(keep)


def share(kept: int, documents: int) -> str:
    """A kept share, marked if it is suspiciously small."""
    part = kept / documents if documents else 0.0
    return low(percent(part)) if part < LOW and documents >= FEW else percent(part)


def _quartiles(facts: Mapping[str, Any]) -> str:
    """How much of each quartile was kept. Bounds are missing where groups have their own quartiles."""
    shares, parts = facts.get("kept_shares"), facts.get("composition")
    if not shares or not parts:
        return ""
    header, bounds = ["quartile", "kept share", "share of the sample"], perplexity_ranges(facts.get("quartiles"))
    rows = [
        [str(n), kept, percent(part)]
        for n, (kept, part) in enumerate(zip(_marked(facts), parts, strict=True), 1)
    ]  # fmt: skip
    if bounds:
        header.insert(1, "perplexity")
        rows = [[row[0], bound, *row[1:]] for row, bound in zip(rows, bounds, strict=True)]
    return table(header, rows, [False] * (len(header) - 2) + [True, True])


def _marked(facts: Mapping[str, Any]) -> list[str]:
    """The kept share of each quartile, marked where it is suspiciously small."""
    many = facts.get("documents", 0) >= FEW * len(facts["kept_shares"])
    return [low(percent(kept)) if many and kept < LOW else percent(kept) for kept in facts["kept_shares"]]


def _groups(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """The groups that the sampler was fitted to, the largest first, if there are several."""
    if len(groups) < 2:
        return ""
    largest = sorted(groups, key=lambda name: (-groups[name]["documents"], name))
    rows = [_group(name, groups[name]) for name in largest[:MOST_GROUPS]]
    if len(groups) > MOST_GROUPS:
        rows.append(["…", f"{len(groups) - MOST_GROUPS:,} more", *[""] * 7])
    header = ("group", "documents", "kept", "kept share", "quartile 1", "2", "3", "4", "keep probability")
    return "<h3>Groups</h3>" + table(header, rows, (False, *[True] * 7, False))


def _sources(sources: Mapping[str, Mapping[str, Any]], asked: Mapping[str, Any]) -> str:
    """The kept share of each source, if sources are not those of the file names, which have their own table."""
    by = asked.get("source_by")
    if not by or not sources:
        return ""
    rows = [
        (name, f"{one['documents']:,}", f"{one['kept']:,}", share(one["kept"], one["documents"]))
        for name, one in sources.items()
    ]
    drawn = table(("source", "documents", "kept", "kept share"), rows, (False, True, True, True))
    return f"<h3>Sources by {escaped(by)}</h3>{drawn}"


def _group(name: str, group: Mapping[str, Any]) -> list[str]:
    kept, documents = group["kept"], group["documents"]
    quarters = _marked(group) if group.get("kept_shares") else ["–"] * 4
    return [name, f"{documents:,}", f"{kept:,}", share(kept, documents), *quarters, kernel_text(group["kernel"])]
