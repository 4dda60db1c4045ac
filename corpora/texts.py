"""Texts of many documents in one buffer: the input of the hot paths."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.uint8, np.int64)


class Utf8:
    """Text k is data[offsets[k]:offsets[k + 1]], valid UTF-8. uint8[bytes], int64[texts + 1].

    Made from a buffer, or from strings (see `utf8`), which are then joined when the buffer is first needed.
    """

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self._joined: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = (data, offsets)
        self._strings: list[str] | None = None

    @property
    def data(self) -> NDArray[np.uint8]:
        return self._buffer()[0]

    @property
    def offsets(self) -> NDArray[np.int64]:
        return self._buffer()[1]

    @property
    def strings(self) -> list[str]:
        if self._strings is None:
            data, ends = self.data.tobytes(), self.offsets.tolist()
            self._strings = [data[start:stop].decode() for start, stop in pairwise(ends)]
        return self._strings

    def bytes_of(self, place: int) -> bytes:
        start, end = self.offsets[place : place + 2].tolist()
        return self.data[start:end].tobytes()

    def __len__(self) -> int:
        return len(self.offsets) - 1 if self._strings is None else len(self._strings)

    def _buffer(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        if self._joined is None:
            encoded = [text.encode() for text in self.strings]
            offsets = offsets_of(map(len, encoded), len(encoded))
            self._joined = np.frombuffer(b"".join(encoded), np.uint8), offsets
        return self._joined


def has_utf8(text: str) -> bool:
    """Whether the string can be written as UTF-8: not with a lone surrogate, such as `surrogateescape` leaves."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def utf8(texts: list[str]) -> Utf8:
    """From strings without lone surrogates (readers reject them): with one, reading the buffer would raise."""
    made = Utf8.__new__(Utf8)
    made._joined, made._strings = None, texts
    return made


def offsets_of(lengths: Iterable[int], count: int) -> NDArray[np.int64]:
    """int64[count + 1] from the lengths of `count` parts."""
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, count), out=offsets[1:])
    return offsets


def read_only(array: NDArray[Number]) -> NDArray[Number]:
    """A view that kernels are compiled for once, as Arrow's buffers are."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
