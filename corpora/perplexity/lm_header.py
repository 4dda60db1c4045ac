"""The header of a KenLM file, and a check of the file before anything opens it.

KenLM maps a binary file and trusts its content: a wrong count or word id makes it crash. `check_lm` reads the header,
compares the file's size with the counts, checks the vocabulary, and refuses whatever doesn't add up. It reads in
blocks, so no count makes it allocate much.
Source: kpu/kenlm lm/binary_format.cc (Sanity, FixedWidthParameters), lm/model_type.hh.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from corpora.errors import DamagedFile
from corpora.perplexity.lm_contents import LmFile, check_probing_vocabulary, check_trie_vocabulary, check_words
from corpora.perplexity.lm_sizes import (
    LONGEST_ENTRY,
    MIDDLE_ENTRY,
    UNIGRAM_ENTRY,
    VOCABULARY_ENTRY,
    VOCABULARY_HEADER,
    ProbingLayout,
    TrieBits,
    num_buckets,
    probing_layout,
    quantiser_bytes,
    trie_bytes,
    trie_unigram_bytes,
    trie_vocabulary_bytes,
)
from corpora.perplexity.settings import MAXIMUM_ORDER, MINIMUM_ORDER

__all__ = [
    "LONGEST_ENTRY",
    "MIDDLE_ENTRY",
    "PROBING_MULTIPLIER",
    "UNIGRAM_ENTRY",
    "VOCABULARY_ENTRY",
    "VOCABULARY_HEADER",
    "LmHeader",
    "check_lm",
    "num_buckets",
    "pack_header",
]

PROBING_MULTIPLIER = 1.5

_MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
_INCOMPLETE = b"mmap lm http://kheafield.com/code incomplete\n"
# Values that change with byte order or word size: floats 0, 1, -0.5; word ids 1 and the largest; a 64-bit 1.
_GZIP, _BOM = b"\x1f\x8b", b"\xef\xbb\xbf"
_SANITY = _MAGIC.ljust(56, b"\0") + struct.pack("<fffIIIQ", 0.0, 1.0, -0.5, 1, 0xFFFFFFFF, 0, 1)
_PARAMETERS = struct.Struct("<B3xfiB3xI")  # order, probing multiplier, type, has vocabulary, search version
_TYPES = ("probing", "rest_probing", "trie", "quant_trie", "array_trie", "quant_array_trie")
_PROBING = 0
_QUANTISER_VERSION, _ARRAY_VERSION = 2, 0
_QUANTISER_BITS = range(1, 26)
_WORD_IDS = 1 << 32  # KenLM's ids are 32 bits
_NGRAMS = 1 << 57  # the limit of KenLM's packed pointers
_ARPA_HEAD = 1 << 16  # the counts of an ARPA file must be within this many bytes


@dataclass(frozen=True)
class LmHeader:
    """type: "arpa", or one of KenLM's binary types. counts: n-grams of each order, unigrams first. size: bytes.

    For a binary: multiplier of the hash tables (cells per entry), has_vocabulary (the words' strings are at the end),
    num_words (ids are below it, `<unk>` is 0). layout: where the tables of a probing binary are.
    """

    type: str
    order: int
    counts: tuple[int, ...]
    size: int
    multiplier: float = PROBING_MULTIPLIER
    has_vocabulary: bool = False
    num_words: int = 0
    layout: ProbingLayout | None = None


def pack_header(counts: Sequence[int]) -> bytes:
    """The header of a probing binary with a vocabulary, padded to 8 bytes."""
    parameters = _PARAMETERS.pack(len(counts), PROBING_MULTIPLIER, _PROBING, True, 0)
    header = _SANITY + parameters + struct.pack(f"<{len(counts)}Q", *counts)
    return header.ljust(_header_size(len(counts)), b"\0")


def _header_size(order: int) -> int:
    return (len(_SANITY) + _PARAMETERS.size + 8 * order + 7) // 8 * 8


def check_lm(path: str | Path) -> LmHeader:
    """Reads the header of a KenLM binary or an ARPA file, and checks what can be checked without loading it.

    For every binary type, the exact size; for probing binaries also the vocabulary, so that no word id points outside
    the unigrams. Raises DamagedFile naming what was expected and found; OSError if the file can't be read.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DamagedFile(f"{path}: not a regular file, so not a language model")
        opened = LmFile(path, file, status.st_size)
        start = file.read(len(_SANITY))
        if start.lstrip().startswith((b"\\data\\", b"#")):
            return _arpa_header(opened)
        _check_start(path, start)
        header = _read_header(opened)
        return _check_probing(opened, header) if "probing" in header.type else _check_trie(opened, header)


def _open_at_once(path: str, flags: int) -> int:
    """Opens without blocking: opening a pipe would wait for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check_start(path: str | Path, start: bytes) -> None:
    if start.startswith(_GZIP):
        raise DamagedFile(f"{path}: gzip-compressed, and a model is mapped, not unpacked: gunzip it first")
    if start.startswith(_BOM):
        raise DamagedFile(f"{path}: begins with a byte order mark, which no model does: remove its first 3 bytes")
    if start.startswith(_INCOMPLETE):
        raise DamagedFile(f"{path}: unfinished KenLM binary: build_binary was interrupted, build it again")
    if not start.startswith(_MAGIC[:-2]):
        raise DamagedFile(f"{path}: not a KenLM binary: it must start with {_MAGIC[:-2]!r}, found {start[:50]!r}")
    if start != _SANITY:
        raise DamagedFile(f"{path}: damaged KenLM binary: its test values are not a 64-bit little-endian file's")


def _read_header(file: LmFile) -> LmHeader:
    path = file.path
    order, multiplier, type_, has_vocabulary, version = file.unpack(_PARAMETERS, len(_SANITY), "its header")
    if not MINIMUM_ORDER <= order <= MAXIMUM_ORDER:
        raise DamagedFile(f"{path}: order {order} in the header: kenlm reads {MINIMUM_ORDER} to {MAXIMUM_ORDER}")
    if not 0 <= type_ < len(_TYPES):
        raise DamagedFile(f"{path}: model type {type_} in the header: KenLM has types 0 to {len(_TYPES) - 1}")
    name = _TYPES[type_]
    expected = 0 if "probing" in name else 1
    if version != expected:
        raise DamagedFile(f"{path}: search version {version} in the header: a {name} binary has {expected}")
    if not 1.0 < multiplier < 100.0:
        raise DamagedFile(f"{path}: probing multiplier {multiplier} in the header: expected 1.5, above 1 in any case")
    if has_vocabulary > 1:
        raise DamagedFile(f"{path}: vocabulary flag {has_vocabulary} in the header: expected 0 or 1")
    counts = file.unpack(struct.Struct(f"<{order}Q"), len(_SANITY) + _PARAMETERS.size, f"{order} counts")
    if not 1 <= counts[0] < _WORD_IDS or max(counts) >= _NGRAMS:
        raise DamagedFile(f"{path}: counts {counts} in the header: expected 1 to 2**32 words, n-grams below 2**57")
    return LmHeader(name, order, counts, file.size, multiplier, has_vocabulary == 1)


def _check_probing(file: LmFile, header: LmHeader) -> LmHeader:
    """Every size in a probing binary follows from its counts."""
    rest = header.type == "rest_probing"
    layout = probing_layout(_header_size(header.order), header.counts, header.multiplier, rest=rest)
    _check_size(file, header, layout.end)
    words = check_probing_vocabulary(file, layout.vocabulary, header.counts[0])
    if header.has_vocabulary:
        check_words(file, layout.end, words)
    return replace(header, num_words=words, layout=layout)


def _check_trie(file: LmFile, header: LmHeader) -> LmHeader:
    """Checks the size of a quantised or array-compressed trie: it follows from counts and a few bits inside."""
    start, counts = _header_size(header.order), header.counts
    quantiser = start + trie_vocabulary_bytes(counts[0])
    bits = TrieBits()
    if "quant" in header.type:
        bits = _quantiser_bits(file, quantiser)
    if "array" in header.type and header.order > 2:
        array = quantiser + trie_unigram_bytes(counts[0])
        bits = replace(bits, array=_array_bits(file, array + _quantiser_bytes(header.order, bits)))
    end = start + trie_bytes(counts, bits)
    _check_size(file, header, end)
    words = check_trie_vocabulary(file, start, counts[0])
    if header.has_vocabulary:
        check_words(file, end, words)
    return replace(header, num_words=words)


def _quantiser_bytes(order: int, bits: TrieBits) -> int:
    return quantiser_bytes(order, bits) if bits.quantised else 0


def _quantiser_bits(file: LmFile, offset: int) -> TrieBits:
    version, probability, backoff = file.unpack(struct.Struct("<BBB"), offset, "its quantiser")
    if version != _QUANTISER_VERSION or probability not in _QUANTISER_BITS or backoff not in _QUANTISER_BITS:
        found = f"version {version}, {probability} and {backoff} bits"
        raise DamagedFile(f"{file.path}: quantiser of {found}: expected version {_QUANTISER_VERSION}, 1 to 25 bits")
    return TrieBits(probability, backoff, quantised=True)


def _array_bits(file: LmFile, offset: int) -> int:
    version, bits = file.unpack(struct.Struct("<BB"), offset, "its pointer arrays")
    if version != _ARRAY_VERSION:
        raise DamagedFile(f"{file.path}: pointer arrays of version {version}: expected {_ARRAY_VERSION}")
    return int(bits)


def _check_size(file: LmFile, header: LmHeader, expected: int) -> None:
    if file.size < expected or (file.size > expected and not header.has_vocabulary):
        words = " before the words" if header.has_vocabulary else ""
        raise DamagedFile(
            f"{file.path}: {file.size} bytes, but the counts {header.counts} of a {header.type} binary imply "
            f"{expected}{words}"
        )


def _arpa_header(file: LmFile) -> LmHeader:
    r"""Blank lines and comments, `\data\`, a line `ngram K=COUNT` for each order, a blank line."""
    head = file.read(0, min(file.size, _ARPA_HEAD), "its counts")
    _, _, table = head.partition(b"\\data\\")
    counts: list[int] = []
    for line in table.split(b"\n")[1:]:
        text = line.strip()
        if not text.startswith(b"ngram "):
            break
        order, _, count = text[6:].partition(b"=")
        if order.strip() != str(len(counts) + 1).encode() or not count.strip().isdigit() or len(count) > 20:
            raise DamagedFile(
                f"{file.path}: bad ARPA header: expected 'ngram {len(counts) + 1}=COUNT', found {text[:80]!r}"
            )
        counts.append(int(count))
    if not MINIMUM_ORDER <= len(counts) <= MAXIMUM_ORDER:
        bounds = f"{MINIMUM_ORDER} to {MAXIMUM_ORDER}"
        raise DamagedFile(f"{file.path}: ARPA file of order {len(counts)}: kenlm reads {bounds}")
    # the shortest line of an n-gram: "0", tab, words of one letter, spaces between them, newline
    least = sum(count * (2 * order + 2) for order, count in enumerate(counts, 1))
    if least > file.size or counts[0] >= _WORD_IDS:
        raise DamagedFile(f"{file.path}: {file.size} bytes, but the n-gram counts {counts} need at least {least}")
    return LmHeader("arpa", len(counts), tuple(counts), file.size)
