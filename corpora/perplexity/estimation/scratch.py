"""Large arrays in bounded memory: beyond the bound, they are memory-mapped temporary files."""

from __future__ import annotations

import errno
import mmap
import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.files import cannot_write

Array = npt.NDArray[Any]
ADVICE = "free some space, or raise --memory"


class Scratch:
    """Hands out arrays: in memory while together they fit into `memory` bytes, otherwise in files beside `out`.

    Where an array is never changes the result. A file is unlinked once it is mapped, so it disappears with the
    process, however that ends; its space is reserved before use. Only one thread may request and release arrays.
    """

    def __init__(self, out: str | Path, memory: int) -> None:
        self.memory = memory
        self._out = Path(out)
        self._held: dict[int, int] = {}

    def array(self, shape: int | tuple[int, int], dtype: npt.DTypeLike) -> Array:
        """An uninitialised array. Raises TamizError if the disk has no room for it."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.held_bytes + size <= self.memory or not size:
            array = np.empty(shape, dtype)
        else:
            array = np.frombuffer(self._file(size), dtype).reshape(shape)
            size = 0
        self._held[_address(array)] = size
        return array

    def zeros(self, shape: int | tuple[int, int], dtype: npt.DTypeLike) -> Array:
        """An `array` of zeros."""
        array = self.array(shape, dtype)
        array.fill(0)
        return array

    def release(self, *arrays: Array) -> None:
        """Lets other arrays have the memory of these, once nothing refers to them any longer."""
        for array in arrays:
            del self._held[_address(array)]

    @property
    def held_bytes(self) -> int:
        """Memory of the arrays that are handed out and not released, without files."""
        return sum(self._held.values())

    def _file(self, size: int) -> mmap.mmap:
        path = self._out.with_name(f"{self._out.name}.scratch.tmp-{uuid.uuid4().hex[:12]}")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                path.unlink()
                reserve(descriptor, size)
                return mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            name = f"a temporary file beside {self._out}"
            raise cannot_write(path, error, size, name=name, advice=ADVICE) from error

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.clear()


def reserve(descriptor: int, size: int) -> None:
    """Makes a file of `size` bytes with its blocks allocated: a full disk is an OSError here, not a SIGBUS later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(1 << 20)
    for start in range(0, size, len(block)):
        if os.pwrite(descriptor, block[: size - start], start) < min(len(block), size - start):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
