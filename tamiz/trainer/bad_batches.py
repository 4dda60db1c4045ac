"""Batches whose loss or gradient isn't finite: the update is skipped, and the rows are written down."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from corpora import files
from corpora.errors import TamizError
from corpora.rows.blend import Blend
from corpora.rows.origin import stored_places
from corpora.rows.shards import Shards
from tamiz.trainer.checkpoint import FOLDER
from tamiz.trainer.dataset import Batch

_LOG = logging.getLogger(__name__)


class BadBatches:
    """The updates that a training skipped. Raises TamizError after `most` in a row; weights stay as they are.

    shards, seed: name the rows by file and number; None: by their positions in the epoch's order. writes: of several
    processes, one does.
    """

    def __init__(
        self, out: Path, shards: Shards | Blend | None, seed: int, most: int, *, writes: bool = True
    ) -> None:
        self._folder, self._shards, self._seed, self._most = out / FOLDER, shards, seed, most
        self._writes = writes
        self._in_a_row = 0
        self.steps: list[int] = []

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"steps": self.steps, "in_a_row": self._in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a checkpoint; after an end for too many in a row, counting begins anew."""
        self.steps = list(state["steps"])
        self._in_a_row = state["in_a_row"] if state["in_a_row"] <= self._most else 0

    def good(self) -> None:
        """Call after an update."""
        self._in_a_row = 0

    def skip(self, step: int, batch: Batch, place: dict[str, Any], error: Exception) -> str | None:
        """Writes OUT/checkpoints/bad-batch-NNNNNNNN.json: step, error, rows and ids. The file goes when the training
        is finished; metrics.json keeps the numbers of the steps.

        place: `epoch` and `row`, where the batch begins. Returns the message that ends the training, if these were
        too many in a row.
        """
        self.steps.append(step)
        self._in_a_row += 1
        path = self._folder / f"bad-batch-{step:08d}.json"
        ids = {name: tensor.tolist() for name, tensor in batch.items()}
        rows = self._rows(place, len(batch["input_ids"]))
        kept = {"step": step, "error": str(error), "epoch": place["epoch"], "rows": rows, **ids}
        if self._writes:
            files.write_bytes(path, json.dumps(kept).encode())
        said = f"step {step:,} is skipped: {error}; its rows are in {path}"
        if self._in_a_row <= self._most:
            _LOG.warning("%s", said)
            return None
        return (
            f"{self._in_a_row} steps in a row had no update (train.max_skipped_steps: {self._most}), the last as "
            f"{error}; the rows are in {path}; the weights are those from before; the same command goes on after them"
        )

    def _rows(self, place: dict[str, Any], count: int) -> list[Any]:
        positions = range(place["row"], place["row"] + count)
        if self._shards is None:
            return list(positions)
        total = (
            self._shards.facts.rows["train"]
            if isinstance(self._shards, Shards)
            else self._shards.mixture("train").rows
        )
        wrapped = [position % total for position in positions]  # a batch larger than the epoch repeats rows
        return [list(at) for at in stored_places(self._shards, "train", self._seed, place["epoch"], wrapped)]


class TooManyBad(TamizError):
    """More updates in a row were skipped than the settings allow."""


def began_at(after: dict[str, Any], batch_size: int, steps_per_epoch: int) -> dict[str, Any]:
    """Where the last batch began. after: the state of the dataset, which is where the next one begins."""
    if after["row"]:
        return {"epoch": after["epoch"], "row": after["row"] - batch_size}
    return {"epoch": after["epoch"] - 1, "row": (steps_per_epoch - 1) * batch_size}
