"""Encodes lines of text as pieces of a SentencePiece model, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from corpora.errors import BadArgument, DamagedFile

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
