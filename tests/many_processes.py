"""Started by torchrun in each of several processes: does the trainings of a list, one after the other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from tamiz.trainer.families import FAMILIES
from tamiz.trainer.ranks import current, joined
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train


class Training(msgspec.Struct, kw_only=True):
    """A training: its model and settings as plain data. until: it is interrupted after this step."""

    shards: str
    tokenizer: str
    out: str
    model: dict[str, Any]
    settings: dict[str, Any]
    until: int | None = None


class Interrupted(Exception):
    pass


def run(training: Training) -> None:
    """Does it in this process, or in all that have joined."""

    def done(step: int, _steps: int) -> None:
        if step == training.until:
            raise Interrupted

    shape, settings = FAMILIES.convert(training.model, "t5"), msgspec.convert(training.settings, TrainSettings)
    shards, tokenizer, out = (Path(path) for path in (training.shards, training.tokenizer, training.out))
    try:
        train(shards, tokenizer, out, shape, settings, report=lambda _line: None, done=done)
    except Interrupted:
        assert training.until is not None


if __name__ == "__main__":
    with joined():
        assert current().world_size > 1
        for each in msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=list[Training]):
            run(each)
