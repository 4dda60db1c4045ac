"""The output of packing: rows as slices of one array of ids, and the ids left over."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.unsignedinteger]
Positions = npt.NDArray[np.int64]

ROW_GROUP_IDS = 1 << 18


class Rows(NamedTuple):
    """Row i is ids[offsets[i]:offsets[i + 1]]; kinds[i] says which of the objective's kinds of rows it is.

    starts: ascending positions in `ids` where a document begins; in best-fit rows also where the rest of a
    cut document follows another document.
    The arrays may be views that the next step of packing overwrites.
    """

    ids: Ids
    offsets: Positions
    starts: Positions
    kinds: npt.NDArray[np.uint8]

    @property
    def num_rows(self) -> int:
        return len(self.kinds)

    @property
    def num_ids(self) -> int:
        return int(self.offsets[-1] - self.offsets[0])


class Tail(msgspec.Struct, frozen=True):
    """Ids that are in no row yet: less than one row (best-fit: a few rows' worth).

    ids: little-endian uint32 as bytes, which are compact, because a run has a tail for every item. document_starts:
    ascending positions where a document begins; rests: where the rest of a cut document begins.
    """

    ids: bytes = b""
    document_starts: list[int] = []
    rests: list[int] = []

    @property
    def num_ids(self) -> int:
        return len(self.ids) // 4

    @property
    def array(self) -> npt.NDArray[np.uint32]:
        return np.frombuffer(self.ids, "<u4")


def tail(ids: Ids, document_starts: Positions, rests: Positions) -> Tail:
    """A tail from arrays."""
    return Tail(ids.astype("<u4").tobytes(), document_starts.tolist(), rests.tolist())


def group_rows(width: int) -> int:
    """The number of rows in a row group, from the ids stored per row: about 2**18 ids, at least 16 rows."""
    return max(16, ROW_GROUP_IDS // width)
