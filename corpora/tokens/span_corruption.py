"""T5's span corruption: lengths, noise masks, and whole blocks of rows at once.

Source: google-research/text-to-text-transfer-transformer, t5/data/preprocessors.py (`random_spans_helper`,
`random_spans_noise_mask`, `noise_span_to_unique_sentinel`, `nonnoise_span_to_unique_sentinel`).
`tests/reference/` restates them plainly, and this module's draws step by step; tests compare with both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.tokens.shapes import RowShape, lengths, mask_counts, row_shape

__all__ = ["Denoising", "RowShape", "corrupt", "corrupt_keyed", "lengths", "noise_mask", "random_masks", "row_shape"]

Ids = npt.NDArray[np.unsignedinteger]
Keys = npt.NDArray[np.uint64]
Masks = npt.NDArray[np.bool_]


class Denoising(NamedTuple):
    """How rows of each kind are corrupted: shapes of rows [kinds], and whether each kind's masks roll.

    sentinels[j] marks the j-th noise span of a row; T5's run from the top id down.
    """

    shapes: tuple[RowShape, ...]
    rolls: tuple[bool, ...]
    sentinels: Ids
    eos_id: int
    pad_id: int

    @property
    def label_length(self) -> int:
        """The label length of the widest kind."""
        return max(shape.label_length for shape in self.shapes)


def noise_mask(
    length: int,
    key: int,
    noise_density: float = 0.15,
    mean_noise_span_length: float = 3.0,
    random_roll: bool = False,
) -> Masks:
    """bool[length], true where a token is noise. Depends only on `key` (0 <= key < 2**64).

    As in T5 at least one token and one span are noise; the first span is kept and the last token is noise, unless
    `random_roll` rotates the row (see `random_masks`). Raises ValueError as `row_shape` does.
    """
    raw, noise, spans = mask_counts(length, noise_density, mean_noise_span_length)
    return random_masks(np.array([key], np.uint64), raw, noise, spans, random_roll)[0, :length]


def random_masks(
    keys: Keys, raw_length: int, num_noise_tokens: int, num_noise_spans: int, random_roll: bool = False
) -> Masks:
    """bool[n, raw_length]: in each row exactly num_noise_tokens true in exactly num_noise_spans runs.

    `random_roll` starts each row at one of the places that leave all spans whole, drawn uniformly: a sentinel is
    equally likely at every place of the inputs. (T5 rolls by any offset; a span that is cut in two makes its row one
    token too long, and T5 trims the excess.)
    """
    from corpora.tokens.span_kernels import draw_masks

    masks = np.empty((len(keys), raw_length), np.bool_)
    draw_masks(keys, num_noise_tokens, num_noise_spans, random_roll, masks)
    return masks


def corrupt_keyed(
    rows: Ids, keys: Keys, shape: RowShape, *, sentinels: Ids, eos_id: int, pad_id: int = 0, random_roll: bool = False
) -> tuple[Ids, Ids]:
    """Raw rows [n, L] -> (input_ids [n, input_length], labels [n, label_length]), with the dtype of `rows`.

    Row i depends on keys[i] alone. Inputs: a sentinel for each noise span. Labels: each sentinel followed by its
    span, no closing sentinel. EOS ends both.
    """
    denoising = Denoising((shape,), (random_roll,), sentinels, eos_id, pad_id)
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
    return corrupt(rows.reshape(-1), offsets, keys, np.zeros(len(rows), np.uint8), denoising)


def corrupt(
    ids: Ids, offsets: npt.NDArray[np.int64], keys: Keys, kinds: npt.NDArray[np.uint8], denoising: Denoising
) -> tuple[Ids, Ids]:
    """As `corrupt_keyed`, for rows ids[offsets[i]:offsets[i + 1]] of different kinds; labels as wide as the widest.

    A row has its kind's raw length, or a few ids less: its inputs are then shorter. Padding is on the right.
    """
    from corpora.tokens.span_kernels import corrupt as corrupt_by_kernel

    sentinels = denoising.sentinels.astype(ids.dtype, copy=False)
    shapes = [(s.num_noise_tokens, s.num_noise_spans, r) for s, r in zip(*denoising[:2], strict=True)]
    inputs = np.full((len(keys), denoising.shapes[0].input_length), denoising.pad_id, ids.dtype)
    labels = np.full((len(keys), denoising.label_length), denoising.pad_id, ids.dtype)
    table = np.array(shapes, np.int64)
    corrupt_by_kernel(ids, offsets, keys, kinds, table, sentinels, denoising.eos_id, inputs, labels)
    return inputs, labels
