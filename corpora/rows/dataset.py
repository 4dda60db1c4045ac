"""The rows of packed shards in batches of numpy arrays, for trainers in any library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpora.rows.batches import NumpyArrays
from corpora.rows.blend import Blend, Given, opened
from corpora.rows.stream import BatchStream
from corpora.tokens.denoisers import SpanCorruptionSettings

Batch = dict[str, npt.NDArray[np.int64]]


class ShardRows(BatchStream[npt.NDArray[np.int64]]):
    """Batches of one split, epoch after epoch, without end. Imports no torch.

    Step s of an epoch takes positions [s * batch_size, (s + 1) * batch_size) of the epoch's order; rank r of
    world_size gets every world_size-th of them from the r-th on. batch_size is global: it counts the rows of all
    ranks together. Batches are dicts of int64 arrays, one for each column of fixed-size lists or numbers:
    `input_ids` [b, sequence_length]; `labels` [b, label_length] except for causal rows; `denoiser` [b] for ul2;
    `num_tokens` [b] if packing leaves rows short. You may keep arrays: their memory is reused only when nothing
    refers to it.

    An epoch leaves out the last rows if they don't fill a batch (different rows in each epoch). A split with
    fewer rows than batch_size makes one batch per epoch, repeating its rows until the batch is full.

    path: a folder, a folder opened by `read_shards`, which reads manifest and footers once for all splits, or several
    folders with weights, {path: weight}. Then each epoch has as many rows as the folders have (but at most 2**20), of
    which each folder gives its share by largest remainder, and the first P rows of an epoch hold each folder's share
    to within one row, for every P. Each folder's rows come in the order that it has alone, epoch after epoch of its
    own, whatever the epochs of the others. Two windows of each folder are in memory, at most 2 x 134 MB with the
    usual window_groups.
    span_corruption: turns causal rows into `input_ids` and `labels`, with different noise in each epoch; the rows
    must be exactly as wide as the raw length of that noise. with_documents: causal rows also have `document_ids`
    [b, sequence_length]: 0 for a document that continues from another row, and one more where a document begins;
    padding counts as part of the last one. prefetch: how many batches a thread makes ahead, while
    another thread reads the next rows; 0 for no thread.

    `state_dict` counts the batches that the caller has received, not those made ahead.

    Raises BadArgument for a split without rows, a rank, world_size or batch_size out of bounds, noise that doesn't
    fit the rows, or folders that can't be mixed (another tokenizer, objective or width); DamagedFile for shards that
    are unfinished or not what their manifest says.
    """

    def __init__(
        self,
        path: Given | Blend,
        split: str = "train",
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        span_corruption: SpanCorruptionSettings | None = None,
        with_documents: bool = False,
        prefetch: int = 2,
    ) -> None:
        super().__init__(
            opened(path), split, NumpyArrays, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size,
            span_corruption=span_corruption, with_documents=with_documents, prefetch=prefetch,
        )  # fmt: skip
