"""SentencePiece as the engine of record: spiece.model's own pieces, and sentinels above them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.flat_encoder import FlatEncoder, Make
from corpora.encoding.flat import FlatIds, id_dtype
from corpora.encoding.sentencepiece.model_proto import (
    BPE,
    NORMAL,
    UNIGRAM,
    SentencePieceModel,
    read_model,
    without_pieces,
)
from corpora.encoding.sentinels import check_sentinel, find_sentinels, identity, sentinel_name
from corpora.errors import BadArgument, DamagedFile
from corpora.texts import Utf8

if TYPE_CHECKING:
    from corpora.encoding.cache.cached_words import CachedWords

SPACE = "▁"
_UNKNOWN_PENALTY = 10.0  # SentencePiece's score of an unknown character, below the lowest piece
_FLOAT32_INTEGERS = 2**24  # sums up to this many steps are exact in float32
_FINEST_STEP = 2.0**-8
_LONGEST_PART = 1 << 14  # characters; bounds memory for BPE, which has no sums to round


class SentencePieceEncoder:
    """See Encoder. `model`: the bytes of spiece.model; `name` is for messages. Raises DamagedFile.

    num_sentinels: sentinels above the pieces, downwards from the highest id, or ascending. If there are none, the
    pieces named as sentinels are (mT5's); text doesn't yield them.
    """

    def __init__(
        self, model: bytes, num_sentinels: int = 0, name: str = "spiece.model", *, ascending: bool = False
    ) -> None:
        import sentencepiece

        self._given = model, num_sentinels, name, ascending
        parsed = read_model(model, name)
        own = [] if num_sentinels else find_sentinels({piece.text: k for k, piece in enumerate(parsed.pieces)})
        self.pieces = parsed.pieces
        self.num_pieces = len(parsed.pieces)
        self.vocab_size = self.num_pieces + num_sentinels
        above = range(self.num_pieces, self.vocab_size)
        self._sentinels: Sequence[int] = own or (above if ascending else above[::-1])
        self._number = {token: number for number, token in enumerate(self._sentinels)}
        self.num_sentinels = len(self._sentinels)
        where = " in its pieces" if own else " ascending" if ascending and num_sentinels else ""
        self.sha256 = identity(model, self.num_sentinels, where)
        if own:
            model = without_pieces(model, own)
            parsed = read_model(model, name)
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise DamagedFile(f"SentencePiece can't load {name} ({error}): copy or train it again") from None
        self.bos_id = _known(self._processor.bos_id())
        self.eos_id = _known(self._processor.eos_id())
        self.pad_id: int = max(self._processor.pad_id(), 0)
        self.unk_id = _known(self._processor.unk_id())
        self._record = _Parts(self._processor, longest_part(parsed))
        self._flat = FlatEncoder(
            f"sentencepiece {sentencepiece.__version__}",
            self._record.encode,
            id_dtype(self.vocab_size),
            [self._words],
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), *self._given)

    def sentinel_id(self, number: int) -> int:
        check_sentinel(number, self.num_sentinels)
        return self._sentinels[number]

    def encode_batch(self, texts: list[str]) -> list[NDArray[np.int32]]:
        """Releases the GIL while SentencePiece works. Long texts are encoded in parts; see `longest_part`."""
        return self._record.encode(texts)

    def encode_flat(self, texts: Utf8) -> FlatIds:
        return self._flat.encode(texts)

    @property
    def engine(self) -> str:
        return self._flat.engine

    def _words(self) -> Make | None:
        """A function that makes a word cache for this model; None if its ids would not be exact."""
        from corpora.encoding.sentencepiece import bpe as sentencepiece_bpe
        from corpora.encoding.sentencepiece import word_pieces

        model, record, unknown = self._model, self._record, int(self._processor.unk_id())
        dtype = id_dtype(self.vocab_size)
        if word_pieces.why_not(model) is None:
            values = np.arange(self.num_pieces, dtype=dtype)

            def unigram(cache_bytes: int) -> CachedWords:
                return word_pieces.WordPieces(
                    model,
                    normaliser=None,
                    separators=b" \n",
                    line_end=False,
                    values=values,
                    unknown_values=unknown,
                    by_engine=record.encode if record.longest else None,
                    cache_bytes=cache_bytes,
                )

            return unigram
        if sentencepiece_bpe.why_not(model) is None:
            return lambda cache_bytes: sentencepiece_bpe.SentencePieceBpe(model, dtype, record.encode, cache_bytes)
        return None

    def id_to_piece(self, number: int) -> str:
        if not 0 <= number < self.vocab_size:
            raise BadArgument(f"id {number} is not below vocab_size {self.vocab_size}")
        if number in self._number:
            return sentinel_name(self._number[number])
        piece: str = self._processor.id_to_piece(number)
        return piece

    def decode(self, ids: Sequence[int] | NDArray[np.int32]) -> str:
        parts: list[str] = []
        for own, run in groupby(map(int, ids), key=lambda number: number not in self._number):
            numbers = list(run)
            parts += [self._processor.decode(numbers)] if own else map(self.id_to_piece, numbers)
        return " ".join(parts)


def _known(number: int) -> int | None:
    """SentencePiece's -1 is an id that the model doesn't have."""
    return number if number >= 0 else None


def _again(
    kind: type[SentencePieceEncoder], model: bytes, num_sentinels: int, name: str, ascending: bool
) -> SentencePieceEncoder:
    """Unpickles."""
    return kind(model, num_sentinels, name, ascending=ascending)


class _Parts:
    """SentencePiece, with long texts in parts of at most `longest` characters (0: whole)."""

    def __init__(self, processor: Any, longest: int) -> None:
        self._processor, self.longest = processor, longest
        self._separator = re.compile(self._spaces()) if longest else None

    def encode(self, texts: list[str]) -> list[NDArray[np.int32]]:
        parts = [self._cut(text) for text in texts]
        flat = [part for of_text in parts for part in of_text]
        encoded = iter(self._processor.encode(flat, return_type="numpy", num_threads=1))
        return [
            next(encoded) if len(of_text) == 1 else np.concatenate([next(encoded) for _ in of_text])
            for of_text in parts
        ]

    def _cut(self, text: str) -> list[str]:
        if self._separator is None or len(text) <= self.longest:
            return [text]
        return split_at_spaces(text, self.longest, self._separator)

    def _spaces(self) -> str:
        """A pattern for those of space and newline that the normaliser turns into a space."""
        normalize = self._processor.normalize
        return "[ \n]" if normalize("a\nb") == normalize("a b") else " "


def longest_part(model: SentencePieceModel) -> int:
    """The most characters to encode at once; 0: no limit, because cutting at spaces could change the ids.

    Cutting bounds memory: a 50 MB document takes 150 MB more, not 1.3 GB. The ids stay the same if every word
    begins a new piece and sums of scores are exact, as float32 sums of scores with few fractional bits are, up to
    2**24 steps. Then the ids are those of the words one by one, however long the text.
    """
    if not _words_stand_alone(model):
        return 0
    if model.model_type == BPE:
        return _LONGEST_PART
    scores = np.array([piece.score for piece in model.pieces if piece.type == NORMAL])
    step = 2.0**-5
    while step > _FINEST_STEP and np.any(scores % step):
        step /= 2
    if np.any(scores % step):
        return 0
    return min(int(_FLOAT32_INTEGERS * step / (_UNKNOWN_PENALTY - scores.min())), _LONGEST_PART)


def _words_stand_alone(model: SentencePieceModel) -> bool:
    own = {piece.text for piece in model.pieces if piece.type == NORMAL}
    return (
        model.model_type in (UNIGRAM, BPE)
        and model.dummy_prefix
        and model.collapses_spaces
        and model.escapes_spaces
        and not model.whitespace_as_suffix
        and SPACE in own
        and not any(SPACE in piece.text[1:] or " " in piece.text for piece in model.pieces)
    )


def split_at_spaces(text: str, longest: int, separator: re.Pattern[str]) -> list[str]:
    """Parts of at most `longest` characters, cut at spaces: each part but the first begins with one.

    A word longer than that stays whole. `separator` matches one character.
    """
    parts, start = [], 0
    while len(text) - start > longest:
        end = max(text.rfind(c, start + 1, start + longest) for c in " \n" if separator.match(c))
        if end < 0:
            found = separator.search(text, start + longest)
            if found is None:
                break
            end = found.start()
        parts.append(text[start:end])
        start = end
    return [*parts, text[start:]]
