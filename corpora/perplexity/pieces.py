"""Encodes lines of text as pieces of a SentencePiece model, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unicodedata import category, normalize

from corpora.errors import BadArgument, DamagedFile
from corpora.text.normalise import Normaliser

UNSEEN_SHARE = 0.02
BATCH_CHARACTERS = 1 << 20  # per call of SentencePiece: its pieces take some 20 bytes per character


def load_tokenizer(path: str | Path) -> Any:
    """A SentencePieceProcessor. Raises BadArgument if there is no such file, DamagedFile if it is not a model."""
    import sentencepiece

    if not Path(path).is_file():
        raise BadArgument(f"tokenizer {path}: no such file")
    processor = sentencepiece.SentencePieceProcessor()
    try:
        loaded = processor.LoadFromSerializedProto(Path(path).read_bytes())
        readable = loaded and processor.get_piece_size() > 0 and processor.encode("a", out_type=str)
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DamagedFile(f"tokenizer {path}: not a SentencePiece model ({reason})") from None
    if not readable:
        raise DamagedFile(f"tokenizer {path}: not a SentencePiece model (it has no pieces)")
    return processor


def unseen_pieces(processor: Any | None, normaliser: Normaliser) -> str | None:
    """A warning if many of the tokenizer's pieces can't come from normalised text: another normaliser was meant."""
    if processor is None:
        return None
    pieces = processor.id_to_piece(list(range(processor.get_piece_size())))
    capitals = sum(piece != piece.lower() for piece in pieces) / len(pieces) if normaliser.lower_case else 0.0
    accents = sum(map(_has_mark, pieces)) / len(pieces) if normaliser.remove_accents else 0.0
    shares = ((capitals, "capitals"), (accents, "accents"))
    told = [f"{share:.0%} of its pieces have {what}" for share, what in shares if share > UNSEEN_SHARE]
    options = "--no-lower-case --no-remove-accents (lower_case, remove_accents)"
    fix = f"which the normaliser removes: if it was trained without, pass {options}"
    return f"{' and '.join(told)}, {fix}" if told else None


def _has_mark(piece: str) -> bool:
    return not piece.isascii() and any(category(c) == "Mn" for c in normalize("NFD", piece))


def batches(lines: Iterable[str], characters: int = BATCH_CHARACTERS) -> Iterator[list[str]]:
    """Lists of lines with about `characters` characters together, but at least one line."""
    batch: list[str] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line) + 1
        if size >= characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
