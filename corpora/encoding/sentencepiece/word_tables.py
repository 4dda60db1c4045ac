"""How a SentencePiece model normalises words, as tables for the kernels, and which rules such tables can express."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.word_symbols import RUN_BITS, SLOW
from corpora.encoding.sentencepiece.charsmap import Rules, read_rules
from corpora.encoding.sentencepiece.code_points import CODE_POINTS, SPACE, CharacterMap, character_map
from corpora.encoding.sentencepiece.model_proto import SentencePieceModel
from corpora.errors import DamagedFile
from corpora.text.normalise import Normaliser

NAME = "the tokenizer"
APART = "\ue000"  # the separator of characters in `code_points`


@lru_cache(maxsize=4)
def processor_of(model: bytes) -> Any:
    """A SentencePieceProcessor. Raises DamagedFile."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise DamagedFile(f"SentencePiece can't load {NAME} ({error}): copy or train it again") from None
    return processor


def character_map_of(processor: Any, charsmap: bytes, normaliser: Normaliser | None) -> CharacterMap:
    """See `code_points.character_map`. Models of many languages share their rules, so the maps are kept."""
    return _character_map(_Named(charsmap, processor), normaliser)


class _Named(NamedTuple):
    """Equal if the charsmaps are: in supported models, nothing else decides what a character becomes."""

    charsmap: bytes
    processor: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and self.charsmap == other.charsmap

    def __hash__(self) -> int:
        return hash(self.charsmap)


@lru_cache(maxsize=4)
def _character_map(rules: _Named, normaliser: Normaliser | None) -> CharacterMap:
    return character_map(rules.processor, read_rules(rules.charsmap), normaliser)


def objection_to_rules(model: SentencePieceModel, processor: Any) -> str | None:
    """Why words between spaces and newlines can't be normalised one by one, or None."""
    try:
        rules = read_rules(model.charsmap)
    except ValueError as error:
        return f"its normalisation rules can't be read ({error})"
    # Python also strips control characters from a line's ends, but CCNet's normaliser deletes these everywhere.
    spaces = ["\n", *(c for c in map(chr, range(0xA0, CODE_POINTS)) if c.isspace())]
    become = processor.normalize([f"a{c}b" for c in [*spaces, SPACE]])
    written = rules.replacements.split(b"\0")
    objections = {
        "its normalisation rules don't treat every space, the newline and U+2581 as a space": {*become} != {"▁a▁b"}
        or SPACE not in rules.alone,
        "its normalisation rules produce U+2581 or two spaces": any(
            SPACE.encode() in to or b"  " in to for to in written
        ),
        "its normalisation rules replace spaces or private-use characters": not untouched(
            rules, [" ", APART], spaces
        ),
    }
    return next((reason for reason, holds in objections.items() if holds), None)


def untouched(rules: Rules, plain: list[str], spaces: list[str]) -> bool:
    """Whether no rule replaces a plain character, and no rule for a sequence contains one or any of `spaces`."""
    in_sequences = rules.starts | rules.continuations
    return rules.alone.isdisjoint(plain) and in_sequences.isdisjoint([*plain, *spaces])


def character_table(found: CharacterMap, symbol_of: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The map as the table that `word_symbols.normalised` reads, and the runs of symbols that it points to.

    symbol_of: int32[0x110000], of each code point.
    """
    runs = symbol_of[found.characters]
    lengths, starts = np.diff(found.starts), found.starts[:-1]
    single = lengths == 1
    table = (2 * (starts << RUN_BITS | lengths) + 1).astype(np.int32)
    table[single] = 2 * runs[starts[single]]
    table[found.depends | (lengths >= 1 << RUN_BITS)] = SLOW
    return table, runs


def expansion(found: CharacterMap) -> int:
    """The most symbols that a byte of text becomes."""
    bytes_each = np.repeat([1, 2, 3, 4], [0x80, 0x780, 0xF800, CODE_POINTS - 0x10000])
    return int(np.max(-(-np.diff(found.starts) // bytes_each)))
