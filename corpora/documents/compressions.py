"""The compressions of line files, by their extension without its dot. To add one, write a function and name it here.

CUTS has those whose files may be of many frames that are found without decompressing them.

Beam's own readers (and zstandard's stream_reader) treat a truncated .gz or .zst as complete. Each function here
yields uncompressed bytes, in bounded pieces, and raises Damage unless the stream ends where its format says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from corpora.documents.addresses import path_of
from corpora.documents.bgzf import bgzf_starts, is_member
from corpora.documents.looking import Look
from corpora.documents.members import bunzip2, gunzip, unxz
from corpora.documents.source import Source
from corpora.documents.zstd_frames import unzstd
from corpora.documents.zstd_walk import is_frame, zstd_starts

COMPRESSIONS: dict[str, Callable[[Source], Iterator[bytes]]] = {
    "gz": gunzip,
    "zst": unzstd,
    "xz": unxz,
    "bz2": bunzip2,
}


class Cut(NamedTuple):
    """How files of a compression are cut.

    starts  (look, size, whether the file is local) -> the position of each frame; raises NoRanges
    begins  whether a frame begins at a position, as far as its first bytes tell
    """

    starts: Callable[[Look, int, bool], Iterator[int]]
    begins: Callable[[Look, int], bool]


CUTS = {"gz": Cut(bgzf_starts, is_member), "zst": Cut(zstd_starts, is_frame)}


def compression_of(address: str) -> str:
    """`gz` for `x.txt.gz`; empty if the address doesn't end in a compression's extension."""
    extension = path_of(address).lower().rpartition(".")[2]
    return extension if extension in COMPRESSIONS else ""
