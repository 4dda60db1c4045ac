"""Stage `train`: a model trained on shards."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from corpora import manifest
from corpora.errors import BadArgument
from corpora.manifest import InputIdentity, MadeFrom
from tamiz.cards.model import CardFacts, model_card
from tamiz.console import count, say
from tamiz.stages.common import Context, StageReport
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.settings import TrainSettings

ALGORITHM = 2  # the order of rows: order.VERSION
CHECKPOINTS = "checkpoints"


def train_stage(
    shards: Path,
    tokenizer: Path,
    out: Path,
    model: ModelSettings,
    settings: TrainSettings,
    context: Context,
    card: CardFacts | None = None,
) -> StageReport:
    """Makes `out` the folder of the trained model, its tokenizer and its card."""
    from tamiz.trainer.inputs import check_inputs

    made_from = _made_from(shards, tokenizer, model, settings)
    check_inputs(shards, tokenizer, model, settings.span_corruption)  # a refused training leaves no folder behind
    state = manifest.begin(out, made_from, rebuild=context.rebuild)
    if state != "finished":
        require_torch()
        # read when torch loads: threads that wait sleep instead of spinning, faster where cores are shared
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from tamiz.trainer.train import train

        write = partial(model_card, facts=card or CardFacts())
        metrics = train(shards, tokenizer, out, model, settings, card=write, report=lambda line: say(f"  {line}"))
        manifest.finish(out, records=[manifest.record(out, p) for p in _outputs(out)], facts=metrics)
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)  # only now: the manifest records everything else
    facts = manifest.read(out).facts
    return StageReport("train", state, out, _rows(facts), facts=facts)


def _outputs(out: Path) -> list[Path]:
    found = [p for p in out.rglob("*") if p.is_file() and out / CHECKPOINTS not in p.parents]
    return sorted(p for p in found if p != out / manifest.NAME)


def _made_from(shards: Path, tokenizer: Path, model: ModelSettings, settings: TrainSettings) -> MadeFrom:
    """Shards count by the contents of their files; the tokenizer by its sha256, which the shards name."""
    content = manifest.read_finished(shards, "shards")
    rows = [r for r in content.files if not r.path.startswith("rejected/")]
    inputs = [InputIdentity(name=r.path, size=r.bytes, sha256=r.sha256) for r in rows]
    parts = [p for p in sorted(tokenizer.glob("*")) if p.is_file() and p.name != manifest.NAME]
    inputs += [manifest.local_identity(p, f"tokenizer/{p.name}") for p in parts]
    plain = {"model": msgspec.to_builtins(model), "train": msgspec.to_builtins(settings)}
    return MadeFrom(stage="train", algorithm=ALGORITHM, settings=plain, inputs=inputs)


def require_torch() -> None:
    """Raises BadArgument where torch or transformers is not installed."""
    from importlib.util import find_spec

    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise BadArgument(f"models need {package}, which is not installed: pip install 'tamiz[train]'")


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("parameters", count(facts["parameters"])),
        ("steps", count(facts["steps"])),
        ("validation loss, before", _nats(facts["initial_validation_loss"])),
        ("validation loss, after", _nats(facts["validation_loss"])),
    ]
    entropy = facts.get("target_unigram_entropy_nats")
    return rows if entropy is None else [*rows, ("entropy of the targets' unigrams", _nats(entropy))]


def _nats(value: float | None) -> str:
    return "none: no validation rows" if value is None else f"{value:.3f} nats"
