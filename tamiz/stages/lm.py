"""Stage `lm`: a KenLM language model, trained or brought, or one for each language. LM.json is the manifest of a
trained one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from corpora import files, lm_json, manifest
from corpora.documents.items import work_items
from corpora.documents.sources import Inputs
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.files import is_local
from corpora.home import Home, exists, of_file
from corpora.locks import InUse, locked, named_share
from corpora.manifest import InputIdentity, MadeFrom, Manifest, State
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.settings import LmSettings
from corpora.stores import temporary
from corpora.text.normalise import CCNET, Normaliser
from tamiz.console import count, size
from tamiz.recipes.schema import Recipe
from tamiz.stages.common import Context, Costs, Plan, Reading, Stage, StageReport, damaged_inputs
from tamiz.stages.growth import Growth
from tamiz.stages.lm_languages import check_intact, joined
from tamiz.stages.lm_source import SECTION, LmSource, rehearsed

ALGORITHM = 2
ITEM_BYTES = 64 << 20
NAME = "lm.bin"  # in the folder of a run
NOT_IDENTITY = ("arpa", "memory", "tokenizer")  # they say where things are and how they are made, not what they are


def lm_stage(
    patterns: Inputs,
    out: Path | str,
    settings: LmSettings,
    context: Context,
    share: float = 1.0,
    bar: str = "lm",
    shared: Home | None = None,
) -> StageReport:
    """Makes sure that `out` (LM.bin) is a model of the documents, or of a share of them; with LM.json and, if it has
    pieces, LM.spiece.model. bar: what its progress is called. In a store, it is estimated here and then sent there.
    shared: where workers leave their results, if it isn't beside the model."""
    if not is_local(str(out)):
        return _in_store(patterns, str(out), settings, context, share, bar)
    out = Path(out)
    _check_names(out, settings)
    if (part := context.runner.share) is not None:
        context = _after_share(patterns, out, settings, context, share, bar, shared)
    with locked(out.parent, named_share("lm train", part), out.stem):
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
            from tamiz.stages.lm_training import train

            _check_own(out, settings)
            train(items, out, settings, made_from, share, context.runner, bar, shared)
        content = lm_json.read(described)
        manifest.require(described, content, manifest.Counts, _Facts)
        many = too_many_rejected(lm_json.rejected_folder(out), content.counts, context.max_rejected)
        return StageReport(
            "lm", state, out, _rows(content, out.stat().st_size), (), damaged_inputs(content), many, content.facts
        )


def _after_share(
    patterns: Inputs,
    out: Path,
    settings: LmSettings,
    context: Context,
    share: float,
    bar: str,
    shared: Home | None,
) -> Context:
    """Numbers the sentences of this run's share; the context of the run that finishes, if that was the last one.

    Raises ShareDone if others are missing or at work.
    """
    from pipelines.accounts import input_identities
    from pipelines.shares import others_at_work
    from tamiz.stages.lm_training import number

    runner = context.runner
    alone = replace(context, runner=msgspec.structs.replace(runner, share=None))
    command = named_share("lm train", runner.share)
    with locked(out.parent, command, out.stem, shared=True):
        if lm_json.manifest_path(out).exists():
            return alone
        _check_own(out, settings)
        items = work_items(patterns, ITEM_BYTES)
        number(items, out, settings, input_identities(items, out.parent), share, runner, bar, shared)
    try:
        with locked(out.parent, command, out.stem):
            return alone
    except InUse as error:
        assert runner.share is not None
        raise others_at_work(runner.share, error) from None


def _check_names(out: Path, settings: LmSettings) -> None:
    if out.suffix != ".bin":
        raise BadArgument(f"--out {out} must end in .bin: a KenLM binary is written there")
    if settings.arpa and Path(settings.arpa).resolve() in {p.resolve() for p in _made(out)}:
        raise BadArgument(f"--arpa {settings.arpa} is a file of --out {out}: name another")


def _in_store(
    patterns: Inputs, out: str, settings: LmSettings, context: Context, share: float, bar: str
) -> StageReport:
    """Estimates in a temporary folder, unless the model is in the store; its files are sent, LM.json last.

    What workers make of the documents is in the store, so that they need no folder of this machine.
    """
    from pipelines.accounts import input_identities, too_many_rejected
    from tamiz.stages.lm_training import SENTENCES

    home, name = of_file(out)
    if not name.endswith(".bin"):
        raise BadArgument(f"--out {out} must end in .bin: a KenLM binary is written there")
    described = home.at(f"{name.removesuffix('.bin')}.json")
    old = lm_json.read(described) if exists(described) and not context.rebuild else None
    items = work_items(patterns, ITEM_BYTES)
    known = {i.name: i for i in old.made_from.inputs} if old else {}
    made_from = _made_from(settings, input_identities(items, home, known=known), share)
    if old is None or manifest.resume(old, described, made_from) != "finished":
        notes = home / f"{manifest.PROGRESS}/{name}"
        again = replace(context, rebuild=False)
        with temporary.local_folder() as folder:
            trained = lm_stage(patterns, folder / name, settings, again, share, bar, notes / SENTENCES)
            shutil.rmtree(folder / manifest.PROGRESS, ignore_errors=True)
            home.publish(folder)
        notes.remove_all()
        return replace(trained, folder=out)
    many = too_many_rejected(home.at(f"{name.removesuffix('.bin')}.rejected"), old.counts, context.max_rejected)
    rows = _rows(old, home.size(name) or 0)
    return StageReport("lm", "finished", out, rows, (), damaged_inputs(old), many, old.facts)


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


def _rows(content: Manifest, bytes_: int) -> list[tuple[str, str]]:
    facts = content.facts
    return [
        ("documents", count(content.counts["kept"])),
        ("sentences", f"{facts['sentences']:,} ({facts['blank_lines']:,} blank lines skipped)"),
        *([("reserved words skipped", count(facts["skipped_symbols"]))] if "skipped_symbols" in facts else []),
        ("n-grams, by order", " / ".join(count(n) for n in facts["counts"])),
        ("size", size(bytes_)),
        ("mode", str(facts["mode"])),
    ]


def foreign_lm(choice: LmChoice) -> StageReport:
    """A ready KenLM file. Its sha256 is recorded at first use, then enforced."""
    from corpora.perplexity.lm_copies import has_manifest
    from corpora.perplexity.lm_files import resolve_lm

    file = choice.path
    described = has_manifest(file)  # it says the rest
    if not described and (choice.mode is None or (choice.tokenizer is None and choice.mode != "bertin")):
        raise BadArgument(f"lm.file {file} needs score.mode and, except in mode bertin, lm.tokenizer")
    found = resolve_lm(file, choice.tokenizer, choice.mode, trust=choice.trust, normaliser=choice.normaliser)
    digest = found.sha256["lm_sha256"] or ""
    row = ("brought", "with its LM.json") if described else ("brought, sha256", digest[:16] + "…")
    return StageReport("lm", "finished", file, [row])


def lm_choices(plan: Plan) -> list[LmChoice]:
    """The models that the recipe's documents are scored with: one, or one for each language."""
    return [_choice(plan, language, lm) for language, lm in plan.recipe.lm.models.items()]


def _choice(plan: Plan, language: str | None, lm: LmSource) -> LmChoice:
    score = plan.recipe.score
    mode = score.mode if score else None
    if lm.file:
        normaliser = Normaliser(score.lower_case, score.remove_accents) if score else CCNET
        return LmChoice(lm.file, language, lm.tokenizer, mode, lm.trust, normaliser)
    return LmChoice(str(_path(plan, language)), language, mode=mode)


def _path(plan: Plan, language: str | None) -> str:
    return Home.of(plan.folder("lm")).at(NAME if language is None else f"{language}.bin")


def _run(plan: Plan, context: Context) -> StageReport:
    reports: dict[str | None, StageReport] = {}
    for language, lm in plan.recipe.lm.models.items():
        reports[language] = _one(plan, language, lm, context)
    return reports[None] if None in reports else joined(reports, plan.folder("lm"))


def _one(plan: Plan, language: str | None, lm: LmSource, context: Context) -> StageReport:
    """With several models, --rebuild redoes only those that are damaged or were made otherwise."""
    if lm.file:
        return foreign_lm(_choice(plan, language, lm))
    out = _path(plan, language)
    if language is None:
        return lm_stage(lm.patterns, out, lm, context, lm.share)
    bar = f"lm {language}"
    if context.rebuild:
        with suppress(StaleOutput, DamagedFile):
            check_intact(out)
            return lm_stage(lm.patterns, out, lm, replace(context, rebuild=False), lm.share, bar)
    return lm_stage(lm.patterns, out, lm, context, lm.share, bar)


def _before(plan: Plan) -> None:
    for lm in plan.recipe.lm.models.values():
        if not lm.file:
            plan.items(lm.patterns)


def _settle(recipe: Recipe) -> None:
    for language, lm in recipe.lm.models.items():
        if recipe.score and lm.file is None and recipe.score.mode not in (None, lm.scoring_mode):
            name = "lm" if language is None else f"lm.languages.{language}"
            raise ValueError(
                f"score.mode is {recipe.score.mode!r} but {name} scores in {lm.scoring_mode!r}: they must be equal"
            )


def _announces(plan: Plan) -> list[str]:
    return [
        f"{'' if language is None else f'{language}: '}{_announced(plan, lm)}"
        for language, lm in plan.recipe.lm.models.items()
    ]


def _announced(plan: Plan, lm: LmSource) -> str:
    if lm.file:
        return f"{lm.file}, which exists"
    read = Reading.of(plan.items(lm.patterns))
    share = "" if lm.share == 1 else f"; {lm.share:.3g} of the documents are used"
    return f"{read.named}, {size(read.bytes)} to read{share}"


def _writes(plan: Plan, text_bytes: int) -> tuple[int, int]:
    """Measured: order 5 of 50 MB of Spanish takes 336 MB."""
    trained = [lm for lm in plan.recipe.lm.models.values() if not lm.file]
    read = [
        Reading.of(plan.items(lm.patterns)).text_bytes * lm.share * (7 if lm.prune is None else 3) for lm in trained
    ]
    return int(sum(read)), text_bytes


def _phases(recipe: Recipe) -> dict[str, Growth]:
    """The cores share the numbering; SentencePiece learns from a bounded sample of each model's lines."""
    from corpora.perplexity.lm_tokenizer import SAMPLE_BYTES

    trained = sum(not lm.file for lm in recipe.lm.models.values())
    learning = Growth(law="power", most=SAMPLE_BYTES * trained)
    return {"": Growth(shared=True), "SentencePiece": learning, "counting n-grams": Growth()}


def _as_large(text: float, stored: float) -> None:
    """Files that aren't small are numbered by a pipeline, and much text by compiled code: so are those of the
    rehearsal, and only then."""
    from corpora.perplexity import train_lm
    from tamiz.stages import lm_training

    lm_training.SMALL_INPUT = -1 if stored > lm_training.SMALL_INPUT else sys.maxsize
    train_lm.SMALL_INPUT = 0 if text >= train_lm.SMALL_INPUT else sys.maxsize


STAGE = Stage(
    name="lm",
    folder="lm",
    title="Language model",
    help="a language model, trained or brought; or one for each language",
    sections=(SECTION,),
    run=_run,
    anywhere=True,
    before=_before,
    settle=_settle,
    announces=_announces,
    writes=_writes,
    costs=Costs(
        phases=_phases,
        memory=Growth(),
        disk=Growth(law="power"),
        reads=lambda recipe: [(lm.patterns, lm.share) for lm in recipe.lm.models.values() if not lm.file],
        rehearsed=rehearsed,
        as_large=_as_large,
    ),
)
