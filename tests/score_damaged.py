"""Scores damaged probing binaries, in a process of its own: `python -m tests.score_damaged FILE SEED NUMBER`.

Each of NUMBER copies of FILE is damaged by chance. What `check_lm` lets pass is laid into memory between pages that
must not be touched, now at its end, now at its start, and scored: a read outside ends this process. Prints how many
were refused by the check, refused while scoring, and scored.
"""

from __future__ import annotations

import ctypes
import mmap
import random
import struct
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from corpora.errors import DamagedFile
from corpora.perplexity import probing
from corpora.perplexity.lm_header import check_lm

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Guarded:
    """Memory for `size` bytes that begins or ends with its pages, one forbidden page on each side."""

    def __init__(self, size: int, at_end: bool) -> None:
        pages = (size + PAGE - 1) // PAGE * PAGE
        self._length = pages + 2 * PAGE
        anonymous = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._address = _libc.mmap(None, self._length, 0, anonymous, -1, 0)
        assert _libc.mprotect(self._address + PAGE, pages, mmap.PROT_READ | mmap.PROT_WRITE) == 0
        offset = PAGE + (pages - size if at_end else 0)
        self.array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self._address + offset))

    def free(self) -> None:
        _libc.munmap(self._address, self._length)


def damaged(original: bytes, draw: random.Random) -> bytes:
    """Bytes, words of 8 bytes or whole stretches of it changed, most of them behind the header."""
    content = bytearray(original)
    start = draw.choice([0, 140, 140, 140])
    for _ in range(draw.choice([1, 3, 50])):
        place, kind = draw.randrange(start, len(content)), draw.randrange(4)
        if kind == 0:
            content[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            content[place] = draw.randrange(256)
        elif kind == 2:
            value = draw.choice([0, 1, (1 << 31) - 1, 1 << 31, 1 << 63, (1 << 64) - 1, draw.getrandbits(64)])
            content[place : place + 8] = struct.pack("<Q", value)[: len(content) - place]
        else:
            end = min(len(content), place + draw.randrange(1, 2000))
            content[place:end] = draw.randbytes(end - place)
    return bytes(content)


def score(path: Path, draw: random.Random, at_end: bool) -> str:
    try:
        header = check_lm(path)
    except DamagedFile:
        return "refused"
    held: list[Guarded] = []

    def mapped(file: Path, count: int) -> np.ndarray:
        held.append(Guarded(4 * count, at_end))
        array = held[0].array
        array[:] = np.fromfile(file, np.uint8, len(array))
        return array.view(np.uint32)

    probing.map_numbers = mapped  # type: ignore[assignment]
    model = probing.ProbingModel(path, header)
    assert len(held) == 1
    ids = np.array(draw.choices(range(header.num_words), k=600), np.uint32)
    ends = np.array(sorted(draw.sample(range(601), 40)), np.int64)
    try:
        scores = model.score_lines(ids, ends)
    except DamagedFile:
        return "refused while scoring"
    finally:
        del model
        held[0].free()
    assert scores.shape == (39,)
    return "scored"


def main(file: str, seed: str, number: str) -> None:
    draw, original = random.Random(seed), Path(file).read_bytes()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.bin"
        for count in range(int(number)):
            path.write_bytes(damaged(original, draw))
            outcomes[score(path, draw, at_end=count % 2 == 0)] += 1
    print(outcomes["refused"], outcomes["refused while scoring"], outcomes["scored"])


if __name__ == "__main__":
    main(*sys.argv[1:])
