"""Stage `train`: trains a model on shards."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corpora import manifest
from corpora.copies import local_folder, local_tokenizer
from corpora.errors import BadArgument, StaleOutput
from corpora.locks import locked
from corpora.machine import available_cores
from corpora.manifest import InputIdentity, MadeFrom, Manifest, State
from corpora.rows import mixture
from tamiz.cards.model import CardFacts, model_card
from tamiz.console import count, progress, say
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages.brought import is_of_hub, located
from tamiz.stages.common import Context, Plan, Stage, StageReport
from tamiz.stages.described import languages_of, sources_of
from tamiz.stages.mixtures import folders
from tamiz.trainer import checkpoint, require_torch
from tamiz.trainer.families import DEFAULT as DEFAULT_FAMILY
from tamiz.trainer.families import FAMILIES
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.ranks import check_ranks, current
from tamiz.trainer.schedule import is_endless, rising_line
from tamiz.trainer.settings import FREE, TrainSettings

if TYPE_CHECKING:
    from corpora.rows.blend import Blend

_LOG = logging.getLogger(__name__)
ALGORITHM = 2  # covers the order of rows (order.VERSION)


def train_stage(
    shards: Path | Blend,
    tokenizer: Path,
    out: Path,
    model: ModelSettings,
    settings: TrainSettings,
    context: Context,
    card: CardFacts | None = None,
) -> StageReport:
    """Makes sure that `out` holds the trained model, its tokenizer and its card. shards: a folder, or several that
    are mixed.

    Within `ranks.joined()`, the first process does so, and the others train with it."""
    from tamiz.trainer.inputs import check_inputs, require_validation

    ranks = current()
    check_ranks(settings.batch_size, ranks.world_size)
    made_from = _made_from(shards, tokenizer, model, settings)
    # if this refuses, no folder is left behind
    inputs = check_inputs(shards, tokenizer, model, settings.span_corruption, settings.init)
    require_validation(settings, inputs.facts)
    if not ranks.first:
        return _train_along(shards, tokenizer, out, model, settings, context)
    with locked(out, made_from.stage):
        if context.rebuild or not manifest.is_finished(out, made_from):
            _check_machine(out, model, settings)
        state = ranks.told(_begin(out, made_from, settings, context))
        if state != "finished":
            metrics = _train(shards, tokenizer, out, model, settings, context, card or CardFacts())
            manifest.finish(out, records=[manifest.record(out, p) for p in _outputs(out)], facts=metrics)
        checkpoint.settle(out, made_from, keep=settings.keep_checkpoint)  # only now: the manifest records all else
        content = manifest.read(out)
    manifest.require(out / manifest.NAME, content, facts=_Facts)
    return StageReport("train", state, out, _rows(content.facts), facts=content.facts)


def _train(
    shards: Path | Blend,
    tokenizer: Path,
    out: Path,
    model: ModelSettings,
    settings: TrainSettings,
    context: Context,
    card: CardFacts,
) -> dict[str, Any]:
    """The part of the first process; returns the metrics."""
    from tamiz.trainer.train import train

    _warn_of_rates(settings)
    for line in _mixture_lines(shards, settings):
        say(f"  {line}")
    write = partial(model_card, facts=card)
    with progress("train") if sys.stdout.isatty() else nullcontext(lambda _step, _steps: None) as done:
        return train(
            shards, tokenizer, out, model, settings, card=write, report=_say_below, done=done, stop_at=context.stop_at
        )


class _Facts(msgspec.Struct):
    """What the summary shows."""

    parameters: int
    steps: int
    initial_validation_loss: float | None
    validation_loss: float | None
    ended_early: bool = False
    target_unigram_entropy_nats: float | None = None


def _train_along(
    shards: Path | Blend,
    tokenizer: Path,
    out: Path,
    model: ModelSettings,
    settings: TrainSettings,
    context: Context,
) -> StageReport:
    """The part of a process that isn't the first: it reads and writes nothing in `out`."""
    state: State = current().told(None)
    if state != "finished":
        from tamiz.trainer.train import train

        train(shards, tokenizer, out, model, settings, stop_at=context.stop_at)
    return StageReport("train", state, out, ())


def _say_below(line: str) -> None:
    """A line of the training, below that of its stage."""
    say(f"  {line}")


def _check_machine(out: Path, model: ModelSettings, settings: TrainSettings) -> None:
    """Loads torch, which takes a while. Raises TamizError if the machine can't do the training."""
    require_torch()
    # read when torch is loaded: waiting threads sleep instead of spinning, which is faster on shared cores
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "torch" not in sys.modules:
        say("  loading torch")
    from tamiz.trainer.before import check_machine

    check_machine(out, model, settings)


def _warn_of_rates(settings: TrainSettings) -> None:
    """`tamiz run` does so before all stages, and this line is shown once."""
    if rising := rising_line(settings):
        _LOG.warning("%s", rising)


def _begin(out: Path, made_from: MadeFrom, settings: TrainSettings, context: Context) -> State:
    """Like `manifest.begin`, but a training that differs only in its length is continued, if it can be."""
    old = None if context.rebuild or not (out / manifest.NAME).exists() else manifest.read(out)
    if old is None or not _differ_in_length(old.made_from, made_from):
        return manifest.begin(out, made_from, rebuild=context.rebuild)
    _check_steps(out, old, made_from)
    if old.finished:
        from tamiz.trainer.early_stopping import require_unended

        require_unended(old.facts["history"], old.facts["steps"], settings)
    checkpoint.unsettle(out)
    manifest.claim(out, made_from)
    return "continued"


def _differ_in_length(old: MadeFrom, new: MadeFrom) -> bool:
    """Whether two trainings differ in their number of steps or in when they end early, and in nothing else."""
    train, its = old.settings.get("train"), new.settings["train"]
    names = ("steps", *FREE)
    if not isinstance(train, dict) or all(train.get(name) == its.get(name) for name in names):
        return False
    others = {name: value for name, value in train.items() if name not in names}
    settings = {**old.settings, "train": others | {name: its[name] for name in names if name in its}}
    return msgspec.structs.replace(old, settings=settings).fingerprint() == new.fingerprint()


def _check_steps(out: Path, old: Manifest, new: MadeFrom) -> None:
    """Raises StaleOutput if the training in OUT can't go on to another number of steps, saying why."""
    before, after = (m.settings["train"]["steps"] for m in (old.made_from, new))
    schedule, kept = new.settings["train"]["schedule"], checkpoint.found(out)
    made = checkpoint.number(kept[-1]) if kept else before if old.finished else 0
    if before == after:
        why = "is finished, and its checkpoint wasn't kept: it can't go on" if old.finished and not kept else None
    elif after < made:
        why = f"has done {made:,} steps, and train.steps is {after:,}: it can only have more"
    elif made and not is_endless(new.settings["train"]):
        why = (
            f"is a training of {before:,} steps, and train.steps is {after:,}: the learning rates of schedule "
            f"{schedule!r} depend on the number of steps, so that it can't have more"
        )
    elif old.finished and not kept:
        why = f"is finished with {before:,} steps, and its checkpoint wasn't kept: it can't have more"
    else:
        why = None
    if why is not None:
        raise StaleOutput(f"{out} {why}; pass --rebuild to train anew, or choose another --out")


def _outputs(out: Path) -> list[Path]:
    aside = {out / checkpoint.FOLDER, out / manifest.CURVES}
    found = [p for p in out.rglob("*") if p.is_file() and aside.isdisjoint(p.parents)]
    return sorted(p for p in found if p.name != manifest.NAME and not manifest.is_aside(p))


def _made_from(shards: Path | Blend, tokenizer: Path, model: ModelSettings, settings: TrainSettings) -> MadeFrom:
    """Covers the contents of the shards' files, how they are mixed, and the tokenizer's sha256, which the shards'
    manifest contains."""
    if isinstance(shards, Path):
        inputs = _rows_of(shards)
    else:
        named = zip(shards.names, shards.sources, strict=True)
        inputs = [identity for name, source in named for identity in _rows_of(source.folder, f"{name}/")]
    others = {manifest.NAME, *_derived(tokenizer)}
    parts = [p for p in sorted(tokenizer.glob("*")) if p.is_file() and p.name not in others]
    inputs += [manifest.local_identity(p, f"tokenizer/{p.name}") for p in parts if not manifest.is_aside(p)]
    if settings.init is not None:
        from tamiz.trainer.warm_start import identities

        inputs += identities(settings.init)
    plain = {"model": model.identity(), "train": settings.identity()}
    if not isinstance(shards, Path):
        # the rows of each in an epoch: they decide the order; their names come in the order that breaks ties
        rows = zip(shards.names, shards.counts("train"), strict=True)
        plain["mixture"] = {"version": mixture.VERSION, "rows": [f"{name}: {count}" for name, count in rows]}
    return MadeFrom(stage="train", algorithm=ALGORITHM, settings=plain, inputs=inputs)


def _rows_of(shards: Path, prefix: str = "") -> list[InputIdentity]:
    content = manifest.read_finished(shards, "shards")
    rows = [r for r in content.files if not r.path.startswith("rejected/")]
    return [InputIdentity(name=f"{prefix}{r.path}", size=r.bytes, sha256=r.sha256) for r in rows]


def _derived(folder: Path) -> set[str]:
    """What is made from a tokenizer of tamiz and isn't part of it, such as its card."""
    return {r.path for r in manifest.read(folder).derived} if manifest.is_tamiz_folder(folder) else set()


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("parameters", count(facts["parameters"])),
        ("steps", f"{count(facts['steps'])}{', ended early' if facts.get('ended_early') else ''}"),
        *_kept(facts),
        ("validation loss, before", _nats(facts["initial_validation_loss"])),
        ("validation loss, after", _nats(facts["validation_loss"])),
    ]
    entropy = facts.get("target_unigram_entropy_nats")
    return rows if entropy is None else [*rows, ("entropy of the training targets' unigrams", _nats(entropy))]


def _kept(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Whose weights the model has, if not those after the last step."""
    kept = facts.get("kept_step", facts["steps"])
    return [] if kept == facts["steps"] else [("weights of step, with the lowest validation loss", count(kept))]


def _nats(value: float | None) -> str:
    return "none: no validation rows" if value is None else f"{value:.3f} nats"


def _run(plan: Plan, context: Context) -> StageReport:
    from tamiz.stages.tokenizer import tokenizer_of

    recipe = plan.recipe
    return train_stage(
        _shards(plan), Path(local_tokenizer(tokenizer_of(plan))), plan.folder("train"), recipe.model, recipe.train,
        context, card=_card(plan),
    )  # fmt: skip


def _shards(plan: Plan) -> Path | Blend:
    recipe = plan.recipe
    if recipe.mixture is None:
        return local_folder(plan.folder("shards"))
    from corpora.rows.resolve import resolve
    from corpora.rows.shards import read_shards

    sources = {name: read_shards(folder) for name, folder in folders(plan).items()}
    return resolve(recipe.mixture, sources, recipe.train.steps * recipe.train.batch_size)


def _mixture_lines(shards: Path | Blend, settings: TrainSettings) -> list[str]:
    """What a training reads of each source, said before it."""
    if isinstance(shards, Path):
        return []
    from corpora.rows.resolve import needed

    rows = settings.steps * settings.batch_size
    return [
        f"{source.name}: asked {source.asked:.2%} of the {shards.unit}; {source.exact:.4%} of the rows, "
        f"{source.rows:,.0f} of them, {source.epochs:,.2f} epochs"
        for source in needed(shards, rows)
    ]


def _before(plan: Plan) -> None:
    """The trained model is saved with its tokenizer, so the tokenizer must be a folder that can be copied. A GPU that
    is asked for must be there."""
    require_torch()
    if plan.recipe.train.tensorboard:
        from tamiz.trainer.tensorboard import require_tensorboard

        require_tensorboard()
    _warn_of_rates(plan.recipe.train)
    if plan.recipe.train.device == "cuda":
        from tamiz.trainer.device import choose_device

        choose_device(plan.recipe.train)
    from tamiz.trainer.inputs import can_be_saved

    file = plan.recipe.tokenizer.file
    if file and not is_of_hub(file) and not can_be_saved(Path(located(file, plan.folder("tokenizer")))):
        raise BadArgument(
            f"train needs a folder with tokenizer.json, GPT-2's files or byt5, but tokenizer.file is {file!r}"
        )


def _settle(recipe: Recipe) -> None:
    extra_ids = None if recipe.tokenizer.file else recipe.tokenizer.extra_ids
    recipe.model.check_shards(recipe.shards, recipe.train, extra_ids)
    ids = recipe.tokenizer.vocab_size
    if recipe.tokenizer.file is None and recipe.model.vocab_size < ids:
        raise ValueError(
            f"model.vocab_size is {recipe.model.vocab_size} but tokenizer.vocab_size is {ids}: set "
            f"model.vocab_size to {ids} or more (unused rows of the embedding do no harm)"
        )


def _card(plan: Plan) -> CardFacts:
    """Facts for the model card, without paths of this machine."""
    recipe = plan.recipe
    return CardFacts(
        title=recipe.title,
        language=languages_of(recipe),
        licence=recipe.licence or None,
        reference=recipe.reference or None,
        data={"source": "; ".join(sources_of(recipe)), **(_sampled(plan) if plan.has("sample") else {})},
    )


def _sampled(plan: Plan) -> dict[str, str]:
    from tamiz.stages.sample import kernels_text

    sampled = manifest.read(plan.folder("sample"))
    counts, facts = sampled.counts, sampled.facts
    return {
        "documents read": count(counts["read"]),
        "documents kept": count(counts["kept"]),
        "rows rejected": count(sum(counts["rejected"].values())),
        "keep probability": kernels_text(facts),
        "kept share of each perplexity quartile": " / ".join(f"{s:.3f}" for s in facts["kept_shares"]),
    }


def _announces(plan: Plan) -> list[str]:
    train, shards = plan.recipe.train, plan.recipe.shards
    steps = f"{train.steps:,} steps of {train.batch_size:,} rows of {shards.sequence_length:,} ids"
    cores = available_cores()
    if cores <= train.num_threads or train.device == "cuda":
        return [steps]
    return [f"{steps}; on a CPU, {train.num_threads} of {cores} cores work (train.num_threads)"]


STAGE = Stage(
    name="train",
    folder="model",
    title="Training",
    help="a trained model",
    sections=(
        Section("train", TrainSettings),
        Section("model", FAMILIES, DEFAULT_FAMILY, takes={"vocab_size": "tokenizer.vocab_size"}),
    ),
    needs=(("shards", "add a section [shards]"), ("model", "add a section [model]")),
    run=_run,
    before=_before,
    settle=_settle,
    announces=_announces,
)
