"""Stage `lm`: a KenLM language model, trained or brought. LM.json is its manifest."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from corpora import files
from corpora.documents.item import WorkItem
from corpora.documents.items import Inputs, work_items
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.manifest import InputIdentity, MadeFrom
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.settings import LmSettings
from tamiz.console import count, progress, size
from tamiz.stages.common import Context, StageReport
from tamiz.stages.texts import Texts

ALGORITHM = 2
ITEM_BYTES = 64 << 20
NOT_IDENTITY = ("arpa", "memory", "tokenizer")  # where things are and how they are made, not what they are


def lm_stage(patterns: Inputs, out: Path, settings: LmSettings, context: Context, share: float = 1.0) -> StageReport:
    """Brings `out` (LM.bin), LM.spiece.model and LM.json to be a model of the documents, or of a share of them."""
    from pipelines.accounts import input_identities, too_many_rejected

    if out.suffix != ".bin":
        raise BadArgument(f"--out {out} must end in .bin: a KenLM binary is written there")
    if settings.arpa and Path(settings.arpa).resolve() in {p.resolve() for p in _made(out)}:
        raise BadArgument(f"--arpa {settings.arpa} is a file of --out {out}: name another")
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(out, settings)
    items = work_items(patterns, ITEM_BYTES)
    described = out.with_suffix(".json")
    old = None if context.rebuild else _read(described)
    identities = input_identities(items, out.parent, known=_known(old))
    made_from = _made_from(settings, identities, share)
    state = "new" if old is None else _state(old, made_from, out, settings)
    if state != "finished":
        old = _train(items, out, settings, made_from, share)
    assert old is not None
    counts = old["documents"]
    many = too_many_rejected(rejected_folder(out), counts, context.max_rejected)
    damaged = [_damage(d) for d in old["damaged"]]
    return StageReport("lm", state, out, _rows(old, out), (), damaged, many, old)


def _remove_stale(out: Path, settings: LmSettings) -> None:
    """What a killed run left of this model alone: several may lie in one folder."""
    for path in (*_made(out), *([Path(settings.arpa)] if settings.arpa else [])):
        for stale in path.parent.iterdir() if path.parent.is_dir() else ():
            if stale.name.startswith(f"{path.name}.") and files.TEMPORARY.search(stale.name):
                stale.unlink(missing_ok=True)


def _made(out: Path) -> tuple[Path, ...]:
    return out, out.with_suffix(".json"), out.with_suffix(".spiece.model")


def rejected_folder(out: Path) -> Path:
    return out.with_suffix(".rejected")


def _train(
    items: list[WorkItem], out: Path, settings: LmSettings, made_from: MadeFrom, share: float
) -> dict[str, Any]:
    from corpora.perplexity.train_lm import part_of, reading_percent, train_lm

    shutil.rmtree(rejected_folder(out), ignore_errors=True)  # of another run: LM.json names what lies there
    with progress("lm") as update:
        reading = part_of(update, 0, reading_percent(settings))
        texts = Texts(items, rejected_folder(out), reading, share)
        described: dict[str, Any] = train_lm(
            texts,
            out,
            settings=settings,
            progress=update,
            extra=lambda: {
                "made_from": msgspec.to_builtins(made_from),
                "fingerprint": made_from.fingerprint(),
                "documents": texts.counts(),
                "items": texts.accounts,
                "damaged": texts.damaged,
                **({"arpa_sha256": files.sha256(settings.arpa)} if settings.arpa else {}),
                "rejected_files": [msgspec.to_builtins(r) for r in texts.records],
            },
        )
    return described


def _made_from(settings: LmSettings, identities: list[InputIdentity], share: float) -> MadeFrom:
    base = {f: getattr(settings, f) for f in LmSettings.__struct_fields__ if f not in NOT_IDENTITY}
    plain: dict[str, Any] = {**msgspec.to_builtins(base), "share": share}
    plain["train_tokenizer"] = settings.vocabulary_size  # said or not
    plain["prune"] = _thresholds(settings)
    if settings.tokenizer:
        path = Path(settings.tokenizer)
        if not path.is_file():
            raise BadArgument(f"--tokenizer {path}: no such file")
        plain["tokenizer_sha256"] = files.sha256(path)
    return MadeFrom(stage="lm", algorithm=ALGORITHM, settings=plain, inputs=identities)


def _thresholds(settings: LmSettings) -> list[int]:
    """Of every order; 0 prunes nothing."""
    given = settings.prune or (0,)
    return [*given, *[given[-1]] * settings.order][: settings.order]


def _read(described: Path) -> dict[str, Any] | None:
    if not described.exists():
        return None
    try:
        content = msgspec.json.decode(described.read_bytes(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{described} can't be read ({error}): remove it to train again") from None
    return content


def _known(old: dict[str, Any] | None) -> dict[str, InputIdentity]:
    if not old or "made_from" not in old:
        return {}
    made_from = msgspec.convert(old["made_from"], MadeFrom)
    return {i.name: i for i in made_from.inputs}


def _state(old: dict[str, Any], made_from: MadeFrom, out: Path, settings: LmSettings) -> str:
    described = out.with_suffix(".json")
    if old.get("fingerprint") == made_from.fingerprint():
        for path in (out, out.with_suffix(".spiece.model")):
            if not path.is_file() and not (settings.words and path != out):
                raise DamagedFile(f"{path} is missing, but {described} names it; pass --rebuild to make it again")
        return "finished" if settings.arpa is None or _is_arpa(Path(settings.arpa), old) else "new"
    if "made_from" not in old:
        raise StaleOutput(f"{described} was not made by `tamiz lm train`: choose another --out")
    changes = made_from.changes_from(msgspec.convert(old["made_from"], MadeFrom))
    raise StaleOutput(f"{described} was made from something else ({changes}); pass --rebuild to redo it")


def _is_arpa(path: Path, old: dict[str, Any]) -> bool:
    """Whether the file is the one that LM.json tells of."""
    return path.is_file() and files.sha256(path) == old.get("arpa_sha256")


def _damage(entry: dict[str, Any]) -> str:
    return f"{entry['file']}: {entry['damage']}"


def _rows(content: dict[str, Any], out: Path) -> list[tuple[str, str]]:
    return [
        ("documents", count(content["documents"]["kept"])),
        ("sentences", f"{content['sentences']:,} ({content['blank_lines']:,} blank lines skipped)"),
        ("n-grams, by order", " / ".join(count(n) for n in content["counts"])),
        ("size", size(out.stat().st_size)),
        ("mode", str(content["mode"])),
    ]


def foreign_lm(choice: LmChoice) -> StageReport:
    """A ready KenLM file: its sha256 is recorded at first use, then enforced."""
    from corpora.perplexity.lm_files import resolve_lm

    file = Path(choice.path)
    own = file.with_suffix(".json").is_file()  # LM.json says the rest
    if not own and (choice.mode is None or (choice.tokenizer is None and choice.mode != "bertin")):
        raise BadArgument(f"lm.file {file} needs score.mode and, but in mode bertin, lm.tokenizer")
    digest = resolve_lm(file, choice.tokenizer, choice.mode, trust=choice.trust).sha256["lm_sha256"] or ""
    told = ("brought", "with its LM.json") if own else ("brought, sha256", digest[:16] + "…")
    return StageReport("lm", "finished", file, [told])
