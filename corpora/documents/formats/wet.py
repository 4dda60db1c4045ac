"""Common Crawl's extracted texts (WET): a document is the content of a `conversion` record of a WARC file.

Source: ISO 28500 (WARC 1.0), section 4. A record is a version line, header lines, a blank line, Content-Length bytes
and two line ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from corpora.documents.batches import FIRST_BYTES, BatchBuilder, DocumentBatch, Outcome
from corpora.documents.formats.base import Format
from corpora.documents.item import WorkItem
from corpora.documents.source import Damage
from corpora.documents.streams import pieces

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST_HEADER = 1 << 20
_URL, _DATE = "warc-target-uri", "warc-date"
_CARRIED = ("WARC-Identified-Content-Language", "WARC-Record-ID", "WARC-Refers-To", "WARC-Block-Digest")

Headers = dict[str, str]


class _Bytes:
    """A stream of pieces, read by line or by length."""

    def __init__(self, stream: Iterator[bytes]) -> None:
        self._stream = stream
        self._held = b""
        self.position = 0

    def line(self) -> bytes | None:
        """The next line without its end; None at the end of the stream."""
        while (cut := self._held.find(b"\n")) < 0:
            if len(self._held) > _LONGEST_HEADER:
                raise Damage(f"bad WARC: a header of more than {_LONGEST_HEADER:,} bytes at byte {self.position}")
            piece = next(self._stream, b"")
            if not piece:
                rest = self._take(len(self._held))
                return rest.rstrip(b"\r") or None
            self._held += piece
        return self._take(cut + 1).rstrip(b"\r\n")

    def content(self, length: int, most: int) -> bytes:
        """The first `most` bytes of the next `length` bytes. Raises Damage if there are fewer than `length`."""
        kept, left = [], length
        while left:
            self._held = self._held or next(self._stream, b"")
            if not self._held:
                raise Damage(f"truncated WARC: ends at byte {self.position}, inside a record")
            part = self._take(min(left, len(self._held)))
            kept.append(part[:most])
            most, left = most - len(kept[-1]), left - len(part)
        return b"".join(kept)

    def _take(self, length: int) -> bytes:
        part, self._held = self._held[:length], self._held[length:]
        self.position += length
        return part


class Wet(Format):
    """`.warc.wet`, nearly always `.warc.wet.gz`. Rows are conversion records; other columns are WARC headers."""

    name = "wet"
    extensions = (".warc.wet",)
    fixed_columns = ("text", "url", "timestamp")
    carried_on_request = True

    def batches(self, item: WorkItem, batch_bytes: int, columns: tuple[str, ...]) -> Iterator[DocumentBatch]:
        stream, row, start = _Bytes(pieces(item)), item.first, 0
        builder = BatchBuilder(item.path, columns)
        try:
            while (headers := _headers(stream)) is not None:
                length = int(headers["content-length"])
                wanted = headers.get("warc-type") == "conversion"
                fits = length <= item.max_document_bytes
                content = stream.content(length, (length if fits else FIRST_BYTES) if wanted else 0)
                if wanted:
                    outcome = _outcome(content, headers, columns) if fits else item.too_long(length)
                    builder.add(row, outcome, content)
                    row += 1
                if stream.position - start >= batch_bytes:
                    yield builder.build(stream.position - start)
                    builder, start = BatchBuilder(item.path, columns), stream.position
        except Damage:
            yield builder.build(stream.position - start)
            raise
        yield builder.build(stream.position - start)

    def columns(self, item: WorkItem) -> None:  # noqa: ARG002
        """Any WARC header may be asked for, such as WARC-Identified-Content-Language."""
        return

    def fields(self, item: WorkItem) -> Mapping[str, pa.DataType]:  # noqa: ARG002
        """Common Crawl's headers that tell something of the document."""
        import pyarrow as pa

        return dict.fromkeys(_CARRIED, pa.string())


def _headers(stream: _Bytes) -> Headers | None:
    """The headers of the next record, names in lower case; None at the end. Raises Damage for anything else."""
    while (line := stream.line()) == b"":  # records end with two line ends
        pass
    if line is None:
        return None
    if not line.startswith(b"WARC/"):
        raise Damage(f"bad WARC: no record begins before byte {stream.position}")
    headers: Headers = {}
    while line := stream.line():
        name, _, value = line.decode("utf-8", "replace").partition(":")
        headers[name.strip().lower()] = value.strip()
    if line is None:
        raise Damage(f"truncated WARC: ends at byte {stream.position}, inside a record")
    if not headers.get("content-length", "").isascii() or not headers["content-length"].isdigit():
        raise Damage(f"bad WARC: the record before byte {stream.position} has no Content-Length")
    return headers


def _outcome(content: bytes, headers: Headers, columns: tuple[str, ...]) -> Outcome:
    try:
        text = content.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        return f"invalid UTF-8: byte {error.start} of the record"
    known = {"text": text, "url": headers.get(_URL), "timestamp": headers.get(_DATE)}
    extra = (known.get(name) or headers.get(name.lower()) for name in columns)
    return (text, known["url"], known["timestamp"], *extra) if text else "text empty"


WET = Wet()
