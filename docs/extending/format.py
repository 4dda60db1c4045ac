"""Values separated by `|` below a header; the column `url` is optional."""

import csv
import io

from corpora.documents.batches import BatchBuilder
from corpora.documents.formats import FORMATS
from corpora.documents.formats.base import Format
from corpora.documents.streams import pieces
from corpora.texts import has_utf8

csv.field_size_limit(1 << 30)  # documents are long


def document(values, text_column):
    """The values, or the reason why the row isn't a document."""
    if not all(has_utf8(value) for value in values if value):
        return "invalid UTF-8"
    return values if values[0] else f"{text_column} empty"


class Bars(Format):
    name = "bars"
    extensions = (".bars",)

    def batches(self, item, batch_bytes, columns):
        builder = BatchBuilder(item.path, columns)
        data = b"".join(pieces(item))
        text = data.decode("utf-8", "surrogateescape")  # a bad byte spoils its own row only
        for row, fields in enumerate(csv.DictReader(io.StringIO(text, newline=""), delimiter="|")):
            values = (fields.get(item.text_column), fields.get("url"), None, *(fields.get(name) for name in columns))
            builder.add(row, document(values, item.text_column), str(fields).encode())
        yield builder.build(len(data))


FORMATS.register(Bars())
