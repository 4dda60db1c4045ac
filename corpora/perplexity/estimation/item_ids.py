"""The sentences of one part of a text as ids of its own: made part by part, on any worker, joined by `parted_text`.

In a part, words are numbered by first occurrence, as in the whole text. So the parts' words, one part after the
other, give the order of first occurrence in the whole text; the ids of a part become those of the text by a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import IO, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from corpora.encoding.cache.lending import DEFAULT_CACHE
from corpora.home import Home
from corpora.perplexity.estimation.large_text import blocks
from corpora.perplexity.estimation.pieces import PieceNumbers
from corpora.perplexity.estimation.vocabulary import Vocabulary
from corpora.perplexity.estimation.words import WordNumbers
from corpora.perplexity.pieces import batches
from corpora.stores.base import FileRecord, Writing
from corpora.text.normalise import CCNET, normalise
from corpora.texts import Utf8, read_only

Ids = npt.NDArray[np.uint32]


class Numbers(Protocol):
    """The words of a part so far."""

    def number(self, texts: Utf8, /) -> tuple[list[Ids], int]:
        """(ids of all sentences, each from `<s>` to `</s>`; number of blank ones)."""

    def vocabulary(self) -> Vocabulary: ...


class RawWords:
    """The raw words of every line: `WordNumbers`."""

    def __init__(self) -> None:
        self._numbers = WordNumbers()
        self.vocabulary = self._numbers.vocabulary

    def number(self, texts: Utf8) -> tuple[list[Ids], int]:
        joined = "\n".join(texts.strings) + "\n" if len(texts) else ""
        found = [self._numbers.number(block) for block in blocks(joined.encode())]
        return [ids for ids, _ in found], sum(blank for _, blank in found)


class LinePieces:
    """The pieces of every normalised line, or (by_line = False) of every text: `PieceNumbers`, from a faster encoder
    where there is one for the tokenizer; it gives SentencePiece's pieces. model: the tokenizer's file."""

    def __init__(self, processor: Any, model: bytes, *, by_line: bool) -> None:
        self._numbers = PieceNumbers(processor)
        self.vocabulary = self._numbers.vocabulary
        self._by_line = by_line
        self._encoder = _word_pieces(self._numbers, processor, model, by_line)

    def number(self, texts: Utf8) -> tuple[list[Ids], int]:
        if self._encoder is None:
            found = [self._numbers.number(lines) for lines in batches(self._lines(texts))]
            return [ids for ids, _ in found], sum(blank for _, blank in found)
        lines = self._encoder.encode(read_only(texts.data), texts.offsets)
        ids, blank = self._numbers.number_codes(lines.values.astype(np.int64), np.diff(lines.offsets))
        return [ids], blank

    def _lines(self, texts: Utf8) -> Iterator[str]:
        return (normalise(line) for text in texts.strings for line in (text.split("\n") if self._by_line else [text]))


def _word_pieces(numbers: PieceNumbers, processor: Any, model: bytes, by_line: bool) -> Any:
    from corpora.encoding.sentencepiece.word_pieces import WordPieces, why_not

    if why_not(model) is not None:
        return None
    return WordPieces(
        model,
        normaliser=CCNET,
        separators=b" ",
        line_end=by_line,
        values=np.arange(processor.get_piece_size(), dtype=np.uint32),
        unknown_values=partial(_codes, numbers),
        cache_bytes=DEFAULT_CACHE,
    )


def _codes(numbers: PieceNumbers, surfaces: list[bytes]) -> list[int]:
    return [numbers.code(surface.decode()) for surface in surfaces]


@dataclass(frozen=True)
class PartFiles:
    """Two files in a folder at any address. ids: uint32, as they come. words: the strings of all ids from 0 up, a NUL
    after each."""

    folder: Home
    ids: str
    words: str

    @property
    def length(self) -> int:
        return (self.folder.size(self.ids) or 0) // 4

    def read_words(self) -> bytes:
        return self.folder.read_bytes(self.words)

    def read_ids(self, block: int) -> Iterator[Ids]:
        """All ids, `block` at a time."""
        with self.folder.open(self.ids) as file:
            while data := file.read(4 * block):
                yield np.frombuffer(data, "<u4")


class PartWriter:
    """Writes the two files of a part; they appear when the block ends. Memory: the words, and a batch of ids."""

    def __init__(self, files: PartFiles, numbers: Numbers) -> None:
        self.blank = 0
        self.records: list[FileRecord] = []
        """Of the files, once the block has ended."""
        self._files, self._numbers = files, numbers
        self._stack = ExitStack()
        self._written: list[Writing] = []
        self._ids: IO[bytes]

    def __enter__(self) -> Self:
        words, ids = (self._files.folder.writing(name) for name in (self._files.words, self._files.ids))
        self._written = [self._stack.enter_context(words), self._stack.enter_context(ids)]
        self._ids = self._stack.enter_context(self._written[1].path.open("wb"))
        return self

    def add(self, texts: Utf8) -> None:
        found, blank = self._numbers.number(texts)
        for ids in found:
            self._ids.write(np.ascontiguousarray(ids, "<u4").data)
        self.blank += blank

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._written[0].path.write_bytes(self._numbers.vocabulary().strings())
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            self.records = [written.record() for written in self._written]


def lengths(parts: Iterable[PartFiles]) -> int:
    return sum(part.length for part in parts)
