"""Plain lines -> documents: .txt (a line is a document) and .tsv (mMARCO: id, tab, passage)."""

from __future__ import annotations

from corpora.documents.batches import BLANK, BatchBuilder, DocumentBatch, Outcome, batch


class PlainParser:
    """Lines -> DocumentBatch. A line ends with \\n or \\r\\n; white space alone is text, not a blank line."""

    def __init__(self, file: str, columns: tuple[str, ...], *, tsv: bool) -> None:
        self._file = file
        self._columns = columns
        self._tsv = tsv

    def __call__(self, block: bytes, first_row: int) -> DocumentBatch:
        """`block` holds whole lines; the last may lack its newline."""
        fast = self._fast(block, first_row)
        if fast is not None:
            return fast
        builder = BatchBuilder(self._file, self._columns)
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for row, line in enumerate(lines, first_row):
            builder.add(row, self.outcome(line), line)
        return builder.build(len(block))

    def _fast(self, block: bytes, first_row: int) -> DocumentBatch | None:
        """The whole block at once; None if any line of it is unusual."""
        try:
            lines = block.decode().removesuffix("\n").split("\n")
        except UnicodeDecodeError:
            return None
        texts: list[str | None] = [*lines]
        nothing: list[str | None] = [None] * len(lines)
        urls = nothing
        if self._tsv:
            parts = [line.partition("\t") for line in lines]
            texts, urls = [part[2] for part in parts], [f"tsv:{part[0]}" for part in parts]
        if "" in texts or b"\r" in block:
            return None
        known = {"text": texts, "url": urls}
        values = [texts, urls, nothing, *(known.get(name, nothing) for name in self._columns)]
        return batch(range(first_row, first_row + len(lines)), values, self._columns, [], len(block))

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
