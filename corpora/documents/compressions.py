"""The compressions of line files, by their extension without its dot. To add one, write a function and name it here.

Beam's own readers (and zstandard's stream_reader) treat a truncated .gz or .zst as complete. Each function here
yields uncompressed bytes, in bounded pieces, and raises Damage unless the stream ends where its format says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from corpora.documents.addresses import path_of
from corpora.documents.members import bunzip2, gunzip, unxz
from corpora.documents.source import Source
from corpora.documents.zstd_frames import unzstd

COMPRESSIONS: dict[str, Callable[[Source], Iterator[bytes]]] = {
    "gz": gunzip,
    "zst": unzstd,
    "xz": unxz,
    "bz2": bunzip2,
}


def compression_of(address: str) -> str:
    """`gz` for `x.txt.gz`; empty if the address doesn't end in a compression's extension."""
    extension = path_of(address).lower().rpartition(".")[2]
    return extension if extension in COMPRESSIONS else ""
