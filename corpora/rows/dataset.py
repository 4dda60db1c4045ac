"""The rows of packed shards in batches of numpy arrays, for trainers of any library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.rows.batches import NumpyArrays
from corpora.rows.shards import Shards, opened
from corpora.rows.stream import BatchStream
from corpora.tokens.denoisers import SpanCorruptionSettings

Batch = dict[str, npt.NDArray[np.int64]]


class ShardRows(BatchStream[npt.NDArray[np.int64]]):
    """Batches of one split, epoch after epoch, without end. Imports no torch.

    Step s of an epoch takes positions [s * batch_size, (s + 1) * batch_size) of the epoch's order; rank r of
    world_size gets every world_size-th of those from the r-th on. batch_size is global: the ranks' batches together
    have that many rows. Batches are dicts of int64 arrays, one for each column of lists of one length or of numbers:
    `input_ids` [b, sequence_length]; `labels` [b, label_length] except for causal rows; `denoiser` [b] for ul2;
    `num_tokens` [b] where packing leaves rows short. Arrays may be kept: their memory is used again only when nothing
    refers to it.

    An epoch leaves out the rows that make no whole batch at its end (different rows in each epoch). A split with
    fewer rows than batch_size makes one batch per epoch, going round its rows again until the batch is full.

    path: a folder, or one that `read_shards` has opened, which reads manifest and footers once for all its splits.
    span_corruption: noise that turns causal rows into `input_ids` and `labels`, different noise in each epoch; the
    rows must be as wide as the raw length that it needs. prefetch: batches made ahead by a thread, while another
    reads the next rows; 0 for no thread.

    `state_dict` counts the batches handed to the caller, not the ones made ahead.

    Raises BadArgument for a split without rows, a rank, world_size or batch_size out of bounds, or noise that doesn't
    fit the rows; DamagedFile for shards that are unfinished or not what their manifest says.
    """

    def __init__(
        self,
        path: str | Path | Shards,
        split: str = "train",
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        span_corruption: SpanCorruptionSettings | None = None,
        prefetch: int = 2,
    ) -> None:
        super().__init__(
            opened(path), split, NumpyArrays, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size,
            span_corruption=span_corruption, prefetch=prefetch,
        )  # fmt: skip
