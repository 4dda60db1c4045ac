"""Plain text: a line is a document, or, with blank_lines, the run of lines between two blank lines (CC-100)."""

from __future__ import annotations

from collections.abc import Iterator

from corpora.documents.batches import BatchBuilder, DocumentBatch, Outcome
from corpora.documents.formats.lines import BOM, LineFormat, blocks
from corpora.documents.formats.plain import PlainParser, Texts
from corpora.documents.item import WorkItem
from corpora.documents.source import Damage
from corpora.documents.streams import LongLine


class TxtParser(PlainParser):
    """A line is a document."""

    def split(self, lines: list[str]) -> tuple[Texts, Texts]:
        return [*lines], [None] * len(lines)

    def row(self, line: str) -> Outcome:
        return self.document(line)


class Paragraphs:
    """Blocks of lines -> DocumentBatch, if blank lines separate documents. A document may continue in the next block.

    A document's row is that of its first line; its lines are joined by \\n. Blank lines aren't rows. A document with
    a line that isn't UTF-8 is rejected as a whole.
    """

    def __init__(self, item: WorkItem, columns: tuple[str, ...]) -> None:
        self.lines: list[bytes] = []  # lines of the document that is still open
        self._item, self._columns = item, columns
        self._parser = TxtParser(item.path, columns)
        self._row = item.first  # row of the next line
        self._first = 0  # row of the open document's first line
        self._length = 0  # its bytes

    def __call__(self, block: bytes) -> DocumentBatch:
        """The documents that end in `block`, which holds whole lines."""
        builder = BatchBuilder(self._item.path, self._columns)
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for row, line in enumerate(lines, self._row):
            text = line.removeprefix(BOM).removesuffix(b"\r")
            if not text:
                self._close(builder)
                continue
            self._add(row, text, len(text))
        self._row += len(lines)
        return builder.build(len(block))

    def long_line(self, line: LongLine) -> DocumentBatch:
        """Continues the open document with a line that alone is too long."""
        self._add(self._row, line.first, line.length)
        self._row += 1
        return BatchBuilder(self._item.path, self._columns).build(line.length + 1)

    def _add(self, row: int, text: bytes, length: int) -> None:
        """Of a document that is too long, only the beginning is held."""
        if not self.lines:
            self._first, self._length = row, -1
        self._length += length + 1
        if self._length <= self._item.max_document_bytes or not self.lines:
            self.lines.append(text)

    def last(self) -> DocumentBatch:
        """The document that ends with the item, if there is one."""
        builder = BatchBuilder(self._item.path, self._columns)
        self._close(builder)
        return builder.build(0)

    def _close(self, builder: BatchBuilder) -> None:
        if self.lines:
            raw = b"\n".join(self.lines)
            fits = self._length <= self._item.max_document_bytes
            builder.add(self._first, self._outcome(raw) if fits else self._item.too_long(self._length), raw)
            self.lines = []

    def _outcome(self, raw: bytes) -> Outcome:
        try:
            return self._parser.document(raw.decode())
        except UnicodeDecodeError as error:
            return f"invalid UTF-8: byte {error.start} of the document"


class Txt(LineFormat):
    """`.txt`."""

    name = "txt"
    extensions = (".txt",)
    fixed_columns = ("text",)
    takes_blank_lines = True

    def parser(self, item: WorkItem, columns: tuple[str, ...]) -> TxtParser:
        return TxtParser(item.path, columns)

    def batches(self, item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
        if item.blank_lines:
            return _paragraphs(item, batch_bytes, columns)
        return super().batches(item, batch_bytes, columns)


def _paragraphs(item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
    parse = Paragraphs(item, columns)
    try:
        for block in blocks(item, batch_bytes):
            yield parse.long_line(block) if isinstance(block, LongLine) else parse(block)
    except Damage as damage:
        if not parse.lines:
            raise
        raise Damage(f"{damage}; {len(parse.lines)} whole lines of an incomplete last document dropped") from damage
    yield parse.last()


TXT = Txt()
