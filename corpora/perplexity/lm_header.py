"""The head of a KenLM file, and a check of the file before KenLM opens it.

KenLM maps a binary file and trusts what it reads there: a wrong count or word id is a crash. `check_lm` reads the
header, and of a probing binary also the size and the vocabulary, and refuses what doesn't add up.
Source: kpu/kenlm lm/binary_format.cc (Sanity, FixedWidthParameters), lm/vocab.cc, util/probing_hash_table.hh.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from corpora.errors import DamagedFile
from corpora.perplexity.settings import MAXIMUM_ORDER, MINIMUM_ORDER

PROBING_MULTIPLIER = 1.5
VOCABULARY_HEADER = struct.Struct("<II")  # version, number of words
VOCABULARY_ENTRY = np.dtype([("key", "<u8"), ("word", "<u4")])
UNIGRAM_ENTRY = np.dtype([("probability", "<f4"), ("backoff", "<f4")])
MIDDLE_ENTRY = np.dtype([("key", "<u8"), ("probability", "<f4"), ("backoff", "<f4")])
LONGEST_ENTRY = np.dtype([("key", "<u8"), ("probability", "<f4")])

_MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
# Values that read wrong under another byte order or word size: floats 0, 1, -0.5; words 1, the largest; a 64-bit 1.
_SANITY = _MAGIC.ljust(56, b"\0") + struct.pack("<fffIIIQ", 0.0, 1.0, -0.5, 1, 0xFFFFFFFF, 0, 1)
_PARAMETERS = struct.Struct("<B3xfi?3xI")  # order, probing multiplier, type, has vocabulary, search version
_TYPES = ("probing", "rest_probing", "trie", "quant_trie", "array_trie", "quant_array_trie")
_PROBING = 0
_LARGEST_COUNT = 1 << 40  # far above any model, far below overflow


@dataclass(frozen=True)
class LmHeader:
    """type: "arpa", or one of KenLM's binary types. counts: n-grams of each order, unigrams first. size: bytes."""

    type: str
    order: int
    counts: tuple[int, ...]
    size: int


def pack_header(counts: Sequence[int]) -> bytes:
    """The header of a probing binary with a vocabulary, padded to 8 bytes."""
    parameters = _PARAMETERS.pack(len(counts), PROBING_MULTIPLIER, _PROBING, True, 0)
    header = _SANITY + parameters + struct.pack(f"<{len(counts)}Q", *counts)
    return header.ljust(_header_size(len(counts)), b"\0")


def _header_size(order: int) -> int:
    return (len(_SANITY) + _PARAMETERS.size + 8 * order + 7) // 8 * 8


def num_buckets(entries: int, multiplier: float) -> int:
    """Cells of a hash table, at least one of them free. KenLM multiplies in float32."""
    return max(entries + 1, int(np.float32(multiplier) * np.float32(entries)))


def check_lm(path: str | Path) -> LmHeader:
    """Reads the header of a KenLM binary or an ARPA file, and checks what can be checked without loading it.

    Raises DamagedFile with what was expected and found; OSError if the file can't be read.
    """
    with open(path, "rb") as file:
        size = Path(path).stat().st_size
        start = file.read(len(_SANITY))
        if start.lstrip().startswith(b"\\data\\"):
            file.seek(0)
            return _arpa_header(file, path, size)
        if not start.startswith(_MAGIC[:-2]):
            raise DamagedFile(f"{path}: not a KenLM binary: it must start with {_MAGIC[:-2]!r}, found {start[:50]!r}")
        if start != _SANITY:
            raise DamagedFile(f"{path}: damaged KenLM binary: its test values are not a 64-bit little-endian file's")
        header, multiplier, has_vocabulary = _read_parameters(file, path, size)
        if header.type == _TYPES[_PROBING]:
            _check_probing(file, path, header, multiplier, has_vocabulary)
    return header


def _read_parameters(file: IO[bytes], path: str | Path, size: int) -> tuple[LmHeader, float, bool]:
    data = file.read(_PARAMETERS.size)
    if len(data) < _PARAMETERS.size:
        raise DamagedFile(f"{path}: truncated KenLM binary: {size} bytes, too short for its header")
    order, multiplier, type_, has_vocabulary, search_version = _PARAMETERS.unpack(data)
    if not MINIMUM_ORDER <= order <= MAXIMUM_ORDER:
        raise DamagedFile(f"{path}: order {order} in the header: kenlm reads {MINIMUM_ORDER} to {MAXIMUM_ORDER}")
    if not 0 <= type_ < len(_TYPES):
        raise DamagedFile(f"{path}: model type {type_} in the header: KenLM has types 0 to {len(_TYPES) - 1}")
    if type_ == _PROBING and search_version != 0:
        raise DamagedFile(f"{path}: search version {search_version} in the header: a probing binary has 0")
    if not 1.0 < multiplier < 100.0:
        raise DamagedFile(f"{path}: probing multiplier {multiplier} in the header: expected 1.5, above 1 in any case")
    counts_data = file.read(8 * order)
    if len(counts_data) < 8 * order:
        raise DamagedFile(f"{path}: truncated KenLM binary: {size} bytes, too short for {order} counts")
    counts = struct.unpack(f"<{order}Q", counts_data)
    if max(counts) > _LARGEST_COUNT or counts[0] < 3:
        raise DamagedFile(f"{path}: counts {counts} in the header: expected 3 words or more, no count above 2**40")
    return LmHeader(_TYPES[type_], order, counts, size), multiplier, has_vocabulary


def _check_probing(
    file: IO[bytes], path: str | Path, header: LmHeader, multiplier: float, has_vocabulary: bool
) -> None:
    """Every size in a probing binary follows from its counts."""
    words = header.counts[0]
    vocabulary = VOCABULARY_HEADER.size + num_buckets(words, multiplier) * VOCABULARY_ENTRY.itemsize
    tables = sum(num_buckets(count, multiplier) * MIDDLE_ENTRY.itemsize for count in header.counts[1:-1])
    tables += num_buckets(header.counts[-1], multiplier) * LONGEST_ENTRY.itemsize
    size = _header_size(header.order) + vocabulary + (words + 1) * UNIGRAM_ENTRY.itemsize + tables
    if header.size < size or (header.size > size and not has_vocabulary):
        raise DamagedFile(f"{path}: {header.size} bytes, but its counts {header.counts} make {size} before the words")
    bound = _check_vocabulary(file, path, header, num_buckets(words, multiplier))
    if has_vocabulary:
        file.seek(size)
        strings = file.read()
        found = strings.count(b"\0")
        if not strings.startswith(b"<unk>\0") or not strings.endswith(b"\0") or found != bound:
            raise DamagedFile(f"{path}: its last part must be {bound} words from <unk> on, found {found}: truncated?")


def _check_vocabulary(file: IO[bytes], path: str | Path, header: LmHeader, buckets: int) -> int:
    """The number of words, `<unk>` included, which KenLM adds to the unigrams of an ARPA file that lacks it.

    A larger word id would be looked up outside the unigrams; a look-up in a table without a free cell never ends.
    """
    file.seek(_header_size(header.order))
    version, words = VOCABULARY_HEADER.unpack(file.read(VOCABULARY_HEADER.size))
    table = np.frombuffer(file.read(buckets * VOCABULARY_ENTRY.itemsize), VOCABULARY_ENTRY)
    if version != 0 or words - header.counts[0] not in (0, 1):
        raise DamagedFile(f"{path}: vocabulary version {version} of {words} words: expected 0 of {header.counts[0]}")
    largest = int(table["word"].max())
    if largest >= words or table["key"].all():
        raise DamagedFile(f"{path}: damaged vocabulary: word id {largest}, {words} words in {buckets} cells")
    return int(words)


def _arpa_header(file: IO[bytes], path: str | Path, size: int) -> LmHeader:
    r"""`\data\`, then a line `ngram K=COUNT` for each order."""
    counts: list[int] = []
    for line in file:
        text = line.strip()
        if text in (b"", b"\\data\\"):
            continue
        if not text.startswith(b"ngram "):
            break
        order, _, count = text[6:].partition(b"=")
        if order.strip() != str(len(counts) + 1).encode() or not count.strip().isdigit():
            raise DamagedFile(
                f"{path}: bad ARPA header: expected 'ngram {len(counts) + 1}=COUNT', found {text[:80]!r}"
            )
        counts.append(int(count))
    if not MINIMUM_ORDER <= len(counts) <= MAXIMUM_ORDER:
        raise DamagedFile(f"{path}: ARPA file of order {len(counts)}: kenlm reads {MINIMUM_ORDER} to {MAXIMUM_ORDER}")
    return LmHeader("arpa", len(counts), tuple(counts), size)
