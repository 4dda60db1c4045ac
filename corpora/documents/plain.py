"""Plain lines -> documents: .txt (a line is a document) and .tsv (mMARCO: id, tab, passage)."""

from __future__ import annotations

from corpora.documents.batches import BLANK, BatchBuilder, DocumentBatch, Outcome


class PlainParser:
    """Lines -> DocumentBatch. A line ends with \\n or \\r\\n; white space alone is text, not a blank line."""

    def __init__(self, file: str, columns: tuple[str, ...], *, tsv: bool) -> None:
        self._file = file
        self._columns = columns
        self._tsv = tsv

    def __call__(self, block: bytes, first_row: int) -> DocumentBatch:
        """`block` holds whole lines; the last may lack its newline."""
        builder = BatchBuilder(self._file, self._columns)
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for row, line in enumerate(lines, first_row):
            builder.add(row, self.outcome(line), line)
        return builder.build(len(block))

    def outcome(self, line: bytes) -> Outcome:
        """The document of one line, or the reason why it isn't one."""
        try:
            text = line.removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            return f"invalid UTF-8: byte {error.start} of the line"
        if not text:
            return BLANK
        return self._passage(text) if self._tsv else self._document(text, None)

    def _passage(self, text: str) -> Outcome:
        identity, tab, passage = text.partition("\t")
        if not tab:
            return "no tab"
        return self._document(passage, f"tsv:{identity}") if passage else "text empty"

    def _document(self, text: str, url: str | None) -> Outcome:
        if not self._columns:
            return (text, url, None)
        known = {"text": text, "url": url}
        return (text, url, None, *(known.get(name) for name in self._columns))
