"""What .txt and .tsv share: lines of text.

A line ends with \\n or \\r\\n. White space alone is text, not a blank line.
"""

from __future__ import annotations

from abc import abstractmethod

from corpora.documents.batches import BLANK, DocumentBatch, Outcome, batch
from corpora.documents.formats.lines import BOM, LineParser

_MARKED_LINE = b"\n" + BOM

Texts = list[str | None]


class PlainParser(LineParser):
    """Lines -> DocumentBatch. A subclass finds text and url in decoded lines."""

    @abstractmethod
    def split(self, lines: list[str]) -> tuple[Texts, Texts]:
        """Texts and urls of n lines. An empty text means that a line is unusual."""

    @abstractmethod
    def row(self, line: str) -> Outcome:
        """The document of one decoded line that isn't empty, or the reason why it isn't one."""

    def whole(self, block: bytes, first_row: int) -> DocumentBatch | None:
        if _MARKED_LINE in block or block.startswith(BOM):
            return None
        try:
            lines = block.decode().removesuffix("\n").split("\n")
        except UnicodeDecodeError:
            return None
        texts, urls = self.split(lines)
        if "" in texts or b"\r" in block:
            return None
        nothing: Texts = [None] * len(lines)
        known = {"text": texts, "url": urls}
        values = [texts, urls, nothing, *(known.get(name, nothing) for name in self.columns)]
        return batch(range(first_row, first_row + len(lines)), values, self.columns, [], len(block))

    def outcome(self, line: bytes) -> Outcome:
        try:
            text = line.removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            return f"invalid UTF-8: byte {error.start} of the line"
        return self.row(text) if text else BLANK

    def document(self, text: str, url: str | None = None) -> Outcome:
        """The values of one document: text, url, no timestamp, then the extra columns."""
        if not self.columns:
            return (text, url, None)
        known = {"text": text, "url": url}
        return (text, url, None, *(known.get(name) for name in self.columns))
