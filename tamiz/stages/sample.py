"""Stage `sample`: samples documents by their perplexity."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from corpora import manifest
from corpora.documents.groups import UNKNOWN
from corpora.documents.sources import Inputs
from corpora.home import Home, Place
from corpora.manifest import Manifest
from corpora.sampling.methods import DEFAULT_METHOD, METHODS, SampleSettings
from corpora.verify import bad_rows
from tamiz.cards.dataset import DatasetFacts, add_dataset_card
from tamiz.console import count, progress
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages.common import Context, Plan, Stage, StageReport, check_local, damaged_inputs
from tamiz.stages.described import hub_datasets, languages_of, sources_of

SHOWN = 8  # groups in a summary


def sample_stage(
    patterns: Inputs,
    scores: Place,
    out: Place,
    settings: SampleSettings,
    context: Context,
    annotations: Sequence[Place] = (),
    card: DatasetFacts | None = None,
) -> StageReport:
    """Makes sure that `out` holds the sample and its card. annotations: folders that drop documents, name languages
    and add columns. card: what the manifests don't say."""
    check_local(patterns)
    from pipelines.accounts import too_many_rejected
    from pipelines.sample import sample

    with progress("sample") as update:
        outcome = sample(
            patterns,
            scores,
            out,
            settings,
            context.runner,
            annotations=annotations,
            rebuild=context.rebuild,
            progress=update,
        )
    require_facts(out, outcome.manifest)
    add_dataset_card(out, outcome.manifest, _card(scores, outcome.manifest, card or DatasetFacts(), patterns))
    counts, facts = outcome.manifest.counts, outcome.manifest.facts
    many = too_many_rejected(Home.of(out).at("rejected"), counts, context.max_rejected)
    warnings = [
        *filter(None, [facts.get("flat_warning")]),
        *facts.get("lost_warnings", []),
        *_late(facts),
        *_untyped(facts),
    ]
    rows = _rows(counts, facts)
    return StageReport("sample", outcome.state, out, rows, warnings, damaged_inputs(outcome.manifest), many, facts)


class _Shares(msgspec.Struct):
    """What the manifest says of a sample, or of a group in it."""

    kept_shares: tuple[float, float, float, float]
    composition: tuple[float, float, float, float]
    expected_share: float = 0.0
    documents: int = 0
    kept: int = 0


class _Group(_Shares, kw_only=True):
    kernel: dict[str, Any]


class SamplePart(msgspec.Struct):
    """A file that holds the documents of several items, in order; without such files, each item has its own."""

    file: str
    items: list[str]


class _Facts(_Shares, kw_only=True):
    kernel: dict[str, Any] | None
    groups: dict[str, _Group]
    quartiles: tuple[float, float, float] | None = None
    per: str | list[str] = ""  # older samples have a list
    flat_warning: str | None = None
    lost_warnings: list[str] = []
    parts: list[SamplePart] = []


def require_facts(folder: Place, content: Manifest) -> None:
    """Raises DamagedFile unless the manifest of a sample says what summaries and pages show."""
    manifest.require(Home.of(folder).at(manifest.NAME), content, manifest.Counts, _Facts)


def _card(scores: Place, content: Manifest, card: DatasetFacts, patterns: Inputs) -> DatasetFacts:
    """What the card says besides the manifest."""
    languages = [
        name for name in content.facts["groups"] if content.facts.get("per") == "language" and name != UNKNOWN
    ]
    return msgspec.structs.replace(
        card,
        sampler=kernels_text(content.facts),
        language_model=_language_model(manifest.read(scores)),
        languages=card.languages or tuple(languages),
        source_datasets=card.source_datasets or hub_datasets(patterns),
    )


def _language_model(scored: Manifest) -> str:
    """The model that the documents were scored with, or one for each language, by checksum."""
    settings = scored.made_from.settings
    models = settings.get("models") or {"": settings}
    known = {language: model["lm_sha256"] for language, model in models.items() if "lm_sha256" in model}
    return "; ".join(f"{language} sha256 {digest}".strip() for language, digest in known.items())


def _rows(counts: dict[str, Any], facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary's rows: the whole sample, then its groups if there are several."""
    rows = [
        ("documents kept", count(counts["kept"])),
        ("sampled out", count(counts["sampled_out"])),
        *((f"  dropped by {a['annotator']}", count(a["dropped"])) for a in facts.get("annotations", [])),
        *_column_rows(facts),
        *_share_rows(facts),
    ]
    groups = facts["groups"]
    if len(groups) == 1:
        rows.append(("keep probability", kernel_text(facts["kernel"])))
    for name in _largest(groups) if len(groups) > 1 else []:
        rows.append((name, f"{groups[name].get('kept', 0):,} of {groups[name].get('documents', 0):,}"))
        rows += [(f"  {title}", value) for title, value in _share_rows(groups[name])]
        rows.append(("  keep probability", kernel_text(groups[name]["kernel"])))
    if len(groups) > SHOWN:
        rows.append((f"and {len(groups) - SHOWN} more groups", "in manifest.json"))
    return rows


def _column_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The inputs' columns that the sample has, and those that it lacks."""
    columns = facts.get("columns", {})
    carried = [*columns.get("carried", ()), *["all other fields"] * columns.get("other_fields", False)]
    listed = (("columns carried over", carried), ("columns left out", columns.get("left_out")))
    return [(title, _some(names)) for title, names in listed if names]


def _late(facts: dict[str, Any]) -> list[str]:
    """A warning if rows had fields that the first rows of their source lack."""
    late = facts.get("columns", {}).get("noticed_late", {})
    if not late:
        return []
    name, more = next(iter(late)), f" and {len(late) - 1} more" if len(late) > 1 else ""
    return [
        f"{name}{more}: the sample lacks the fields {_some(late[name])}, because the first rows of the source lack "
        "them; --columns all keeps them"
    ]


def _untyped(facts: dict[str, Any]) -> list[str]:
    """A warning if libraries that infer a column's type from the first lines can't read the others."""
    names = facts.get("null_in_the_first_part")
    if not names:
        return []
    return [
        f"{_some(names)}: null in all of the first part, which datasets.load_dataset takes the type from: "
        "pass it features=, or choose --format parquet"
    ]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def _share_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("kept share, expected", f"{facts.get('expected_share', 0.0):.6g}"),
        ("kept share of each quartile", " / ".join(f"{s:.3f}" for s in facts["kept_shares"])),
        ("quartiles' share of the sample", " / ".join(f"{s:.3f}" for s in facts["composition"])),
    ]


def _largest(groups: dict[str, dict[str, Any]]) -> list[str]:
    """The groups to show: those with the most documents, ties by name."""
    return sorted(groups, key=lambda name: (-groups[name].get("documents", 0), name))[:SHOWN]


def kernels_text(facts: dict[str, Any]) -> str:
    """Describes the keep-probability curve of each group of a sample, from its manifest's facts."""
    groups = facts["groups"]
    if len(groups) == 1:
        return kernel_text(facts["kernel"])
    shown = [f"{name}: {kernel_text(groups[name]['kernel'])}" for name in _largest(groups)]
    more = [f"and {len(groups) - SHOWN} more"] if len(groups) > SHOWN else []
    return "; ".join(shown + more)


def kernel_text(kernel: dict[str, Any]) -> str:
    """`gaussian: median 530.6, factor 0.196, width 0.222222`."""
    parts = [f"{key} {_value(value)}" for key, value in kernel.items() if key != "name"]
    return f"{kernel.get('name')}: " + ", ".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_value(v) for v in value)
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


def _run(plan: Plan, context: Context) -> StageReport:
    recipe = plan.recipe
    card = DatasetFacts(
        title=f"Documents of {recipe.title}",
        languages=languages_of(recipe),
        licence=recipe.licence,
        sources=sources_of(recipe),
    )
    return sample_stage(
        plan.documents("sample"), plan.folder("score"), plan.folder("sample"), recipe.sample, context, card=card
    )


def _settle(recipe: Recipe) -> None:
    if recipe.sample is not None and recipe.sample.amount_is_missing:
        raise ValueError(f"sample.keep is missing: {recipe.sample.method} needs keep, keep_documents or factor")


def _leaves(plan: Plan) -> list[str]:
    home = Home.of(plan.folder("sample"))
    if home.is_local:
        return [f"{glob.escape(str(home))}/part-*.{plan.recipe.sample.format}"]
    listed = manifest.read(home).files  # in a store, the manifest says what is there
    return [glob.escape(home.at(record.path)) for record in listed if record.path.startswith("part-")]


def sample_parts(content: Manifest) -> list[SamplePart]:
    """The files that hold several items; empty if each item has its own. content: of a finished sample."""
    return msgspec.convert(content.facts.get("parts", []), list[SamplePart])


def _check(home: Place, content: Manifest) -> list[str]:
    try:
        parts = sample_parts(content)
    except msgspec.ValidationError as error:
        return [f"{home}: the manifest's facts.parts are damaged ({error})"]
    expected = {"part-": content.counts.get("kept", 0)}
    if parts:
        kept = {str(item.get("name")): item.get("kept", 0) for item in content.items}
        expected |= {part.file: sum(kept.pop(name, 0) for name in part.items) for part in parts}
        if kept:
            return [f"{home}: {next(iter(kept))} is in none of the parts that the manifest lists"]
    return bad_rows(home, content, expected)


def _writes(plan: Plan, text_bytes: int) -> tuple[int, int]:
    """Compressed, text takes about 0.4 of its bytes; parts that are joined are there twice for a while."""
    settings: SampleSettings = plan.recipe.sample
    shares = settings.shares.values()
    left = int(text_bytes * max(shares)) if shares else text_bytes
    return int((0.4 if settings.part_bytes is None else 0.8) * left), left


STAGE = Stage(
    name="sample",
    folder="sampled",
    title="Sample",
    help="a sample of the documents, drawn by their perplexity",
    sections=(Section("sample", METHODS, DEFAULT_METHOD),),
    needs=(("score", "add a section [score]"),),
    run=_run,
    anywhere=True,
    reads=True,
    shared=True,
    leaves=_leaves,
    settle=_settle,
    check=_check,
    writes=_writes,
)
