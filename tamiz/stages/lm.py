"""Stage `lm`: a KenLM language model, trained or brought. LM.json is the manifest of a trained one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from corpora import files, lm_json, manifest
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.sources import SOURCES, Inputs
from corpora.errors import BadArgument, StaleOutput
from corpora.locks import locked
from corpora.manifest import InputIdentity, MadeFrom, Manifest, State
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.settings import LmSettings
from corpora.text.normalise import CCNET, Normaliser
from tamiz.console import count, progress, size
from tamiz.recipes.schema import Recipe, Section, patterns
from tamiz.stages.common import Context, Plan, Reading, Stage, StageReport, damaged_inputs

ALGORITHM = 2
ITEM_BYTES = 64 << 20
NAME = "lm.bin"  # in the folder of a run
NOT_IDENTITY = ("arpa", "memory", "tokenizer")  # they say where things are and how they are made, not what they are


class LmSource(LmSettings, frozen=True, kw_only=True):
    """A language model: trained on `input` or on a named `source`, or brought as `file`."""

    source: str | None = None
    """A corpus to train on, by name: a key of corpora.documents.sources.SOURCES."""
    source_share: float = 1.0
    """The share of the named source's documents to train on, drawn by their text; `input` is always taken whole."""
    input: tuple[str, ...] | str | None = None
    """Patterns of the files to train on."""
    file: str | None = None
    """A ready KenLM file. Without LM.json beside it, it needs `tokenizer` and score.mode."""
    trust: bool = False
    """Whether to open a `file` that kenlm loads (a trie, an ARPA file) with no sha256 recorded, and to record it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input is not None and not self.input:
            raise ValueError("input is empty: name patterns of files, or remove it")
        if self.file == "":
            raise ValueError("file is empty: name a KenLM file, or remove it")
        if not 0 < self.source_share <= 1:
            raise ValueError(f"source_share is {self.source_share}; it must be above 0 and at most 1")
        given = [name for name in ("file", "input", "source") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"{' and '.join(given)} exclude each other: a model is brought, or trained on one of them"
                if given
                else "nothing to train on: give input, source, or a ready model as file"
            )
        if self.source is not None and self.source not in SOURCES:
            raise ValueError(f"source is {self.source!r}; it must be one of {', '.join(SOURCES)}")

    @property
    def patterns(self) -> list[str]:
        """The files to train on."""
        return patterns(self.input) if self.source is None else [SOURCES[self.source].pattern]

    @property
    def share(self) -> float:
        """The share of their documents to train on."""
        return 1.0 if self.input else self.source_share


def lm_stage(patterns: Inputs, out: Path, settings: LmSettings, context: Context, share: float = 1.0) -> StageReport:
    """Makes sure that `out` (LM.bin) is a model of the documents, or of a share of them; with LM.json and, if it has
    pieces, LM.spiece.model."""
    if out.suffix != ".bin":
        raise BadArgument(f"--out {out} must end in .bin: a KenLM binary is written there")
    if settings.arpa and Path(settings.arpa).resolve() in {p.resolve() for p in _made(out)}:
        raise BadArgument(f"--arpa {settings.arpa} is a file of --out {out}: name another")
    with locked(out.parent, "lm train", out.stem):
        from pipelines.accounts import input_identities, too_many_rejected

        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(out, settings)
        items = work_items(patterns, ITEM_BYTES)
        described = lm_json.manifest_path(out)
        old = _old(described, context)
        known = {i.name: i for i in old.made_from.inputs} if old else {}
        made_from = _made_from(settings, input_identities(items, out.parent, known=known), share)
        state = _state(old, made_from, described, settings)
        if state == "new":
            _check_own(out, settings)
            _train(items, out, settings, made_from, share)
        content = lm_json.read(described)
        manifest.require(described, content, manifest.Counts, _Facts)
        many = too_many_rejected(lm_json.rejected_folder(out), content.counts, context.max_rejected)
        return StageReport("lm", state, out, _rows(content, out), (), damaged_inputs(content), many, content.facts)


class _Facts(msgspec.Struct):
    """What the summary shows."""

    sentences: int
    blank_lines: int
    counts: list[int]
    mode: str
    skipped_symbols: int = 0


def _check_own(out: Path, settings: LmSettings) -> None:
    """Raises StaleOutput if a file that would be overwritten was brought: LM.json or notes mark tamiz's own."""
    if lm_json.manifest_path(out).exists() or lm_json.progress_folder(out).exists():
        return
    given = Path(settings.tokenizer).resolve() if settings.tokenizer else None
    for path in (out, lm_json.tokenizer_path(out)):
        if path.exists() and path.resolve() != given:
            raise StaleOutput(
                f"{path} is there, but no {lm_json.manifest_path(out).name} that says it was made by tamiz: "
                "choose another --out, or move it away"
            )


def _remove_stale(out: Path, settings: LmSettings) -> None:
    """Removes what a killed run left of this model; other models may lie in the folder."""
    for path in (*_made(out), *([Path(settings.arpa)] if settings.arpa else [])):
        for stale in path.parent.iterdir() if path.parent.is_dir() else ():
            if stale.name.startswith(f"{path.name}.") and files.TEMPORARY.search(stale.name):
                stale.unlink(missing_ok=True)


def _made(out: Path) -> Sequence[Path]:
    return out, lm_json.manifest_path(out), lm_json.tokenizer_path(out)


def _train(items: list[WorkItem], out: Path, settings: LmSettings, made_from: MadeFrom, share: float) -> None:
    from corpora.perplexity.train_lm import part_of, reading_percent, train_lm
    from tamiz.stages.texts import Texts

    rejected = lm_json.rejected_folder(out)
    shutil.rmtree(rejected, ignore_errors=True)  # another run's: LM.json lists what lies there
    with progress("lm") as bar:
        reading = part_of(bar, 0, reading_percent(settings))
        texts = Texts(items, rejected, reading, share)
        train_lm(
            texts,
            out,
            settings=settings,
            progress=bar,
            phase=bar.phase,
            where=lambda: texts.place,
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


def _made_from(settings: LmSettings, identities: list[InputIdentity], share: float) -> MadeFrom:
    base = {f: getattr(settings, f) for f in LmSettings.__struct_fields__ if f not in NOT_IDENTITY}
    plain: dict[str, Any] = {**msgspec.to_builtins(base), "share": share}
    plain["train_tokenizer"] = settings.vocabulary_size  # explicit or default
    plain["prune"] = _thresholds(settings)
    if not settings.skip_symbols:
        del plain["skip_symbols"]  # so that fingerprints are the same as before this setting existed
    if settings.tokenizer:
        path = Path(settings.tokenizer)
        if not path.is_file():
            raise BadArgument(f"--tokenizer {path}: no such file")
        plain["tokenizer_sha256"] = files.sha256(path)
    return MadeFrom(stage="lm", algorithm=ALGORITHM, settings=plain, inputs=identities)


def _thresholds(settings: LmSettings) -> list[int]:
    """One threshold for each order; 0 prunes nothing."""
    given = settings.prune or (0,)
    return [*given, *[given[-1]] * settings.order][: settings.order]


def _old(described: Path, context: Context) -> Manifest | None:
    """The model's manifest, if it is there. Raises StaleOutput for a stranger's file of that name, DamagedFile."""
    if not described.exists():
        return None
    if not lm_json.is_lm_json(described):
        raise StaleOutput(f"{described} is not the manifest of a language model: choose another --out")
    return None if context.rebuild else lm_json.read(described)


def _state(old: Manifest | None, made_from: MadeFrom, described: Path, settings: LmSettings) -> State:
    """Never "continued": LM.json is written last."""
    state = manifest.resume(old, described, made_from) if old else "new"
    if old and settings.arpa and not _is_arpa(Path(settings.arpa), old):
        return "new"
    return state


def _is_arpa(path: Path, old: Manifest) -> bool:
    """Whether the file is the one that LM.json records."""
    return path.is_file() and files.sha256(path) == old.facts.get("arpa_sha256")


def _rows(content: Manifest, out: Path) -> list[tuple[str, str]]:
    facts = content.facts
    return [
        ("documents", count(content.counts["kept"])),
        ("sentences", f"{facts['sentences']:,} ({facts['blank_lines']:,} blank lines skipped)"),
        *([("reserved words skipped", count(facts["skipped_symbols"]))] if "skipped_symbols" in facts else []),
        ("n-grams, by order", " / ".join(count(n) for n in facts["counts"])),
        ("size", size(out.stat().st_size)),
        ("mode", str(facts["mode"])),
    ]


def foreign_lm(choice: LmChoice) -> StageReport:
    """A ready KenLM file. Its sha256 is recorded at first use, then enforced."""
    from corpora.perplexity.lm_files import resolve_lm

    file = Path(choice.path)
    described = lm_json.manifest_path(file).is_file()  # it says the rest
    if not described and (choice.mode is None or (choice.tokenizer is None and choice.mode != "bertin")):
        raise BadArgument(f"lm.file {file} needs score.mode and, except in mode bertin, lm.tokenizer")
    found = resolve_lm(file, choice.tokenizer, choice.mode, trust=choice.trust, normaliser=choice.normaliser)
    digest = found.sha256["lm_sha256"] or ""
    row = ("brought", "with its LM.json") if described else ("brought, sha256", digest[:16] + "…")
    return StageReport("lm", "finished", file, [row])


def lm_choice(plan: Plan) -> LmChoice:
    """The model that the recipe's documents are scored with."""
    lm, score = plan.recipe.lm, plan.recipe.score
    mode = score.mode if score else None
    if lm.file:
        normaliser = Normaliser(score.lower_case, score.remove_accents) if score else CCNET
        return LmChoice(lm.file, None, lm.tokenizer, mode, lm.trust, normaliser)
    return LmChoice(str(plan.folder("lm") / NAME), mode=mode)


def _run(plan: Plan, context: Context) -> StageReport:
    lm: LmSource = plan.recipe.lm
    if lm.file:
        return foreign_lm(lm_choice(plan))
    return lm_stage(lm.patterns, plan.folder("lm") / NAME, lm, context, lm.share)


def _before(plan: Plan) -> None:
    if not plan.recipe.lm.file:
        plan.items(plan.recipe.lm.patterns)


def _settle(recipe: Recipe) -> None:
    lm, score = recipe.lm, recipe.score
    if score and lm.file is None and score.mode not in (None, lm.scoring_mode):
        raise ValueError(f"score.mode is {score.mode!r} but lm scores in {lm.scoring_mode!r}: they must be equal")


def _announces(plan: Plan) -> list[str]:
    lm: LmSource = plan.recipe.lm
    if lm.file:
        return [f"{lm.file}, which exists"]
    read = Reading.of(plan.items(lm.patterns))
    share = "" if lm.share == 1 else f"; {lm.share:.3g} of the documents are used"
    return [f"{read.named}, {size(read.bytes)} to read{share}"]


def _writes(plan: Plan, text_bytes: int) -> tuple[int, int]:
    """Measured: order 5 of 50 MB of Spanish takes 336 MB."""
    lm: LmSource = plan.recipe.lm
    if lm.file:
        return 0, text_bytes
    read = Reading.of(plan.items(lm.patterns))
    return int(read.text_bytes * lm.share * (7 if lm.prune is None else 3)), text_bytes


STAGE = Stage(
    name="lm",
    folder="lm",
    title="Language model",
    help="a language model, trained or brought",
    sections=(
        Section(
            "lm",
            LmSource,
            displaces={
                "file": ("input", "source", "source_share", "train_tokenizer"),
                "input": ("file", "source"),
                "source": ("file", "input"),
            },
        ),
    ),
    run=_run,
    before=_before,
    settle=_settle,
    announces=_announces,
    writes=_writes,
)
