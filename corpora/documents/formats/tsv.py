"""Tab-separated passages, as mMARCO is published: id, tab, passage. The id becomes the url `tsv:<id>`."""

from __future__ import annotations

from corpora.documents.batches import Outcome
from corpora.documents.formats.lines import LineFormat
from corpora.documents.formats.plain import PlainParser, Texts
from corpora.documents.item import WorkItem


class TsvParser(PlainParser):
    """A line is split at its first tab; further tabs belong to the passage. scheme: of the urls."""

    def __init__(self, file: str, columns: tuple[str, ...], scheme: str = "tsv") -> None:
        super().__init__(file, columns)
        self._scheme = scheme

    def split(self, lines: list[str]) -> tuple[Texts, Texts]:
        parts = [line.partition("\t") for line in lines]
        return [part[2] for part in parts], [f"{self._scheme}:{part[0]}" for part in parts]

    def row(self, line: str) -> Outcome:
        identity, tab, passage = line.partition("\t")
        if not tab:
            return "no tab"
        return self.document(passage, f"{self._scheme}:{identity}") if passage else "text empty"


class Tsv(LineFormat):
    """`.tsv`."""

    name = "tsv"
    extensions: tuple[str, ...] = (".tsv",)
    fixed_columns = ("text", "url")

    def parser(self, item: WorkItem, columns: tuple[str, ...]) -> TsvParser:
        return TsvParser(item.path, columns)


TSV = Tsv()
