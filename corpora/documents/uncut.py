"""What to do about a large file that is one item because it can't be cut: one worker alone reads it to its end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from corpora.documents.addresses import path_of
from corpora.documents.item import WorkItem
from corpora.files import is_local

LARGE = 10**9  # bytes as stored

_DECOMPRESS = {"gz": "gzip -dc", "zst": "zstd -dc --long=31", "xz": "xz -dc", "bz2": "bzip2 -dc"}
_FRAME = "256M"  # of text in each: about an item, once compressed


def said_of_uncut(files: Sequence[WorkItem], largest: WorkItem, lines: bool) -> str:
    """One line for all of them. lines: whether the rows of the largest are compressed lines."""
    name, gigabytes = path_of(largest.path).rpartition("/")[2], f"{(largest.size or 0) / 1e9:.1f} GB"
    one = f"{name} ({gigabytes}) can't be cut: it is one item, which one worker reads to its end"
    many = (
        f"{len(files)} files of more than 1 GB can't be cut: each is one item, which one worker "
        f"reads to its end ({name}, {gigabytes}, is the largest)"
    )
    return f"{one if len(files) == 1 else many}; {_advice(largest, name, lines)}"


def _advice(file: WorkItem, name: str, lines: bool) -> str:
    if not lines:
        return "to share it between workers, make several files of it, or JSON lines or Parquet"
    if not is_local(file.path):
        return "to share it between workers, store it as several files, uncompressed, or as Parquet"
    return f"to share it between workers, make it a .zst of many frames: {recompress(file, name)}"


def recompress(file: WorkItem, name: str) -> str:
    """A command that makes a .zst of many frames of a compressed file of lines, in the folder where it is run."""
    stem = name.rpartition(".")[0]
    frames = f"frames-{stem}" if file.compression == "zst" else stem
    return (
        f"{_DECOMPRESS[file.compression]} {shlex.quote(file.path)} | split -b {_FRAME} --filter='zstd -q' - "
        f"> {shlex.quote(f'{frames}.zst')}"
    )
