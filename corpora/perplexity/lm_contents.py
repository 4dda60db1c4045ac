"""Checks a KenLM binary's vocabulary, block by block: a wrong id or a full table there would break scoring."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from corpora.errors import DamagedFile
from corpora.perplexity.lm_sizes import VOCABULARY_HEADER, Table

_BLOCK = 1 << 20  # bytes of strings, or cells, checked at a time
_FIRST_WORD = b"<unk>\0"


class LmFile:
    """An open KenLM file of `size` bytes. Reading past its end raises DamagedFile, naming what should be there."""

    def __init__(self, path: str | Path, file: IO[bytes], size: int) -> None:
        self.path = path
        self.size = size
        self._file = file

    def read(self, offset: int, length: int, what: str) -> bytes:
        if offset + length <= self.size:
            self._file.seek(offset)
            data = self._file.read(length)
            if len(data) == length:
                return data
        raise DamagedFile(f"{self.path}: truncated: {self.size} bytes, too short for {what} at byte {offset}")

    def unpack(self, form: struct.Struct, offset: int, what: str) -> tuple[Any, ...]:
        return form.unpack(self.read(offset, form.size, what))


def check_probing_vocabulary(file: LmFile, table: Table, counted: int) -> int:
    """The number of words, `<unk>` included: one more than counted if KenLM added it, one less if the ARPA
    file had it in two spellings. Raises DamagedFile.

    A word id that is too large would be looked up outside the unigrams; a look-up in a full table would never end.
    """
    version, words = file.unpack(VOCABULARY_HEADER, table.offset - VOCABULARY_HEADER.size, "its vocabulary")
    if version != 0 or not words >= 1 or abs(words - counted) > 1:
        raise DamagedFile(f"{file.path}: vocabulary version {version} with {words} words: expected 0 with {counted}")
    filled = largest = 0
    for start in range(0, table.cells, _BLOCK):
        length = min(_BLOCK, table.cells - start)
        offset, size = table.offset + start * table.entry.itemsize, length * table.entry.itemsize
        cells = np.frombuffer(file.read(offset, size, "its vocabulary"), table.entry)
        filled += int(np.count_nonzero(cells["key"]))
        largest = max(largest, int(cells["word"].max()))
        if 2 * filled * table.cells < (words - 1) * (start + length):
            break  # hashes spread evenly, so this is a hole in a sparse file: don't read it all
    if largest >= words or filled != words - 1:
        found = f"{filled} of {table.cells} cells filled, largest id {largest}"
        raise DamagedFile(f"{file.path}: damaged vocabulary: {found}: expected {words - 1} and an id below {words}")
    return int(words)


def check_trie_vocabulary(file: LmFile, offset: int, counted: int) -> int:
    """The number of words, `<unk>` included: one less than counted if the ARPA file had it in two spellings.

    Raises DamagedFile.
    """
    (hashes,) = file.unpack(struct.Struct("<Q"), offset, "its vocabulary")  # `<unk>` has none
    if counted - (hashes + 1) not in (0, 1):
        raise DamagedFile(f"{file.path}: vocabulary of {hashes} words: expected {counted - 1} (without <unk>)")
    return int(hashes) + 1


def check_words(file: LmFile, offset: int, words: int) -> None:
    """The strings at the end of the file, `<unk>` first, each ended by NUL, none empty. Raises DamagedFile."""
    expected = f"{words} words, <unk> first, should run from byte {offset} to its end"
    begin = file.read(offset, min(len(_FIRST_WORD), file.size - offset), "its words")
    if begin != _FIRST_WORD:
        raise DamagedFile(f"{file.path}: {expected}; found {begin!r} there")
    found, last = 0, b""
    for start in range(offset, file.size, _BLOCK):
        block = file.read(start, min(_BLOCK, file.size - start), "its words")
        found, last = found + block.count(b"\0"), block[-1:]
        if b"\0\0" in block:
            raise DamagedFile(f"{file.path}: {expected}; found an empty word")
    if last != b"\0" or found != words:
        raise DamagedFile(f"{file.path}: {expected}; found {found}: truncated?")
