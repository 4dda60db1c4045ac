"""Values separated by `|` below a header; the column `url` is optional."""

import csv
import io

from corpora.documents.batches import BatchBuilder
from corpora.documents.formats import FORMATS
from corpora.documents.formats.base import Format
from corpora.documents.streams import pieces

csv.field_size_limit(1 << 30)  # documents are long


class Bars(Format):
    name = "bars"
    extensions = (".bars",)

    def batches(self, item, batch_bytes, columns):
        builder = BatchBuilder(item.path, columns)
        text = b"".join(pieces(item)).decode()
        for row, fields in enumerate(csv.DictReader(io.StringIO(text, newline=""), delimiter="|")):
            value = fields.get(item.text_column)
            document = (value, fields.get("url"), None, *(fields.get(name) for name in columns))
            builder.add(row, document if value else f"{item.text_column} empty", str(fields).encode())
        yield builder.build(len(text))


FORMATS.register(Bars())
