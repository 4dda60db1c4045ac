"""Writes the trained model as a folder that transformers loads, with its card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from corpora import files
from tamiz.trainer.checkpoint import FOLDER
from tamiz.trainer.curve import draw_loss
from tamiz.trainer.quiet import quietly
from tamiz.trainer.tokenizer_copy import copy_tokenizer
from tamiz.trainer.trained import Card, Trained
from tamiz.trainer.write_errors import system_error


def export(model: Any, trained: Trained, out: Path, card: Card | None) -> None:
    """Writes weights, tokenizer, curve, card and metrics to OUT. Only README.md and metrics.json contain times and
    energy.

    Everything is first written to a folder inside OUT/checkpoints, so that a killed run leaves no half-written file.
    Raises TamizError if OUT can't be written.
    """
    staging = out / FOLDER / "export"
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        _write(model, trained, staging, card)
        mode = (staging / "metrics.json").stat().st_mode  # safetensors creates files that only the owner can read
        for path in sorted(staging.iterdir()):
            path.chmod(mode)
            _move(path, out / path.name)
        staging.rmdir()
    except (OSError, SafetensorError) as error:
        written = sum(path.stat().st_size for path in staging.glob("*"))
        cause = system_error(error, staging) or OSError(str(error))
        shutil.rmtree(staging, ignore_errors=True)
        name = f"the model to {out}"
        raise files.cannot_write(out / "config.json", cause, written, at_least=True, name=name) from error


def _write(model: Any, trained: Trained, staging: Path, card: Card | None) -> None:
    with quietly():
        model.to("cpu").save_pretrained(staging)
    add_to_config(staging, trained.model.config_extras)
    facts = trained.inputs.facts
    masked = facts.label_length is not None or trained.settings.span_corruption is not None
    copy_tokenizer(trained.inputs.tokenizer, staging, facts, masked=masked)
    draw_loss(trained.metrics, staging / "loss.png")
    if card is not None:
        (staging / "README.md").write_text(card(trained), encoding="utf-8")
    (staging / "metrics.json").write_text(json.dumps(trained.metrics, indent=1) + "\n", encoding="utf-8")


def add_to_config(folder: Path, extras: dict[str, Any]) -> None:
    """extras: a family's `config_extras`."""
    if extras:
        path = folder / "config.json"
        config = json.loads(path.read_bytes()) | extras
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _move(source: Path, target: Path) -> None:
    """Renames into place, with a sync as for every other output."""
    with files.atomic_path(target) as temporary:
        source.replace(temporary)
