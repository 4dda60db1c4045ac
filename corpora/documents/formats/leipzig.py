"""Sentences of the Leipzig Corpora Collection: number, tab, sentence. The number becomes the url `leipzig:<number>`.

Source: https://wortschatz.uni-leipzig.de/en/download, files `<corpus>_<size>-sentences.txt`
"""

from __future__ import annotations

from corpora.documents.formats.tsv import Tsv, TsvParser
from corpora.documents.item import WorkItem

_SIZES = ("10k", "30k", "100k", "300k", "1m")


class Leipzig(Tsv):
    """`_10K-sentences.txt` to `_1M-sentences.txt`; other names ending in `.txt` are plain text."""

    name = "leipzig"
    extensions = tuple(f"_{size}-sentences.txt" for size in _SIZES)
    shown_extensions = ("_10K-sentences.txt",)

    def parser(self, item: WorkItem, columns: tuple[str, ...]) -> TsvParser:
        return TsvParser(item.path, columns, scheme="leipzig")


LEIPZIG = Leipzig()
