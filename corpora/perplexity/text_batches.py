"""Texts as UTF-8 in one buffer, about a megabyte at a time: from Python strings, or Arrow's own buffers in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.errors import BadArgument

if TYPE_CHECKING:
    import pyarrow as pa

    Texts = Sequence[str | None] | pa.Array[Any] | pa.ChunkedArray[Any]

BATCH_BYTES = 1 << 20
_ROWS = 1 << 14
_NEWLINE = b"\n"

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class TextBatch(NamedTuple):
    """Texts data[offsets[k]:offsets[k + 1]] of rows from `row` on; null bool[n]: rows without a text (empty here).

    A text longer than a batch is cut at newlines into parts, each alone in a batch and with the same row.
    """

    row: int
    data: Bytes
    offsets: Offsets
    null: npt.NDArray[np.bool_]


def check_texts(texts: object) -> None:
    """Raises BadArgument for what isn't a sequence: a generator, a map, a dict, a set."""
    if isinstance(texts, Mapping | Set) or not (hasattr(texts, "__len__") and hasattr(texts, "__getitem__")):
        raise BadArgument(f"texts are a {type(texts).__name__}: pass a list or an Arrow array, such as list(texts)")


def text_batches(texts: Texts, *, cut: bool, size: int = BATCH_BYTES) -> Iterator[TextBatch]:
    """All texts in order. cut: a text of more than `size` bytes is cut at newlines, which are in no part.

    Raises BadArgument for anything but strings, naming the row.
    """
    if isinstance(texts, str | bytes):
        raise BadArgument("texts is a single string: pass a list, [text]")
    if hasattr(texts, "to_pylist"):
        return _arrow_batches(texts, cut, size)
    return _list_batches(texts, cut, size)


def _list_batches(texts: Sequence[str | None], cut: bool, size: int) -> Iterator[TextBatch]:
    waiting: list[bytes | None] = []
    first = waiting_bytes = 0
    for row, text in enumerate(texts):
        encoded = _encode(row, text)
        length = len(encoded or b"")
        if waiting and (waiting_bytes + length > size or len(waiting) == _ROWS):
            yield _joined(first, waiting)
            first, waiting, waiting_bytes = row, [], 0
        if cut and length > size:
            yield from _parts(row, np.frombuffer(encoded or b"", np.uint8), 0, length, size)
            first = row + 1
        else:
            waiting.append(encoded)
            waiting_bytes += length
    if waiting:
        yield _joined(first, waiting)


def _encode(row: int, text: str | None) -> bytes | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise BadArgument(f"text {row} is {type(text).__name__}: expected a string or None")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        found = f"U+{ord(text[error.start]):04X} at character {error.start}"
        raise BadArgument(f"text {row} has a lone surrogate ({found}): it isn't Unicode text") from None


def _joined(row: int, texts: list[bytes | None]) -> TextBatch:
    lengths = np.fromiter((len(text or b"") for text in texts), np.int64, len(texts))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    null = np.fromiter((text is None for text in texts), np.bool_, len(texts))
    return TextBatch(row, np.frombuffer(b"".join(text or b"" for text in texts), np.uint8), offsets, null)


def _arrow_batches(texts: Any, cut: bool, size: int) -> Iterator[TextBatch]:
    kind = str(texts.type)
    if kind not in ("string", "large_string", "string_view", "null"):
        raise BadArgument(f"texts are {kind}: expected strings")
    row = 0
    for chunk in getattr(texts, "chunks", [texts]):
        # string views are scattered in memory, so gather a few at a time
        for part in _slices(chunk, _ROWS if kind in ("string_view", "null") else len(chunk)):
            for batch in _array_batches(_contiguous(part, row), cut, size):
                null = _nulls(part, batch.row, len(batch.null))
                yield batch._replace(row=row + batch.row, null=null)
            row += len(part)


def _slices(chunk: Any, rows: int) -> Iterator[Any]:
    for start in range(0, len(chunk), max(rows, 1)):
        yield chunk.slice(start, rows)


def _nulls(array: Any, start: int, rows: int) -> npt.NDArray[np.bool_]:
    if array.null_count == 0:
        return np.zeros(rows, np.bool_)
    return np.asarray(array.slice(start, rows).is_null().to_numpy(zero_copy_only=False), np.bool_)


def _contiguous(array: Any, row: int) -> Any:
    """A string or large_string array of valid UTF-8, whose nulls are empty. Raises BadArgument."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise BadArgument(f"texts from row {row} on are not valid Arrow strings: {error}") from None
    if str(array.type) in ("string_view", "null"):
        array = array.cast(pa.large_string())
    return pc.fill_null(array, "") if array.null_count else array


def _array_batches(array: Any, cut: bool, size: int) -> Iterator[TextBatch]:
    """The buffers of a string or large_string array without nulls, in place."""
    _, ends, content = array.buffers()
    data = np.frombuffer(content or b"", np.uint8)
    width = np.int32 if str(array.type) == "string" else np.int64
    offsets = np.frombuffer(ends, width)[array.offset : array.offset + len(array) + 1]
    first = 0
    while first < len(array):
        within = int(np.searchsorted(offsets, int(offsets[first]) + size, "right")) - 1
        last = min(max(within, first + 1), first + _ROWS, len(array))
        start, end = int(offsets[first]), int(offsets[last])
        if cut and end - start > size:
            yield from _parts(first, data, start, end, size)
        else:
            yield TextBatch(first, data, offsets[first : last + 1].astype(np.int64), np.zeros(last - first, np.bool_))
        first = last


def _parts(row: int, data: Bytes, start: int, end: int, size: int) -> Iterator[TextBatch]:
    """One text, data[start:end], cut at newlines into parts of at most `size` bytes, or of one line."""
    while end - start > size and (border := _line_border(data, start, end, size)) < end:
        yield TextBatch(row, data, np.array([start, border], np.int64), np.zeros(1, np.bool_))
        start = border + 1
    yield TextBatch(row, data, np.array([start, end], np.int64), np.zeros(1, np.bool_))


def _line_border(data: Bytes, start: int, end: int, size: int) -> int:
    """The last newline of data[start:start + size], or the first one after it; `end` if there is none."""
    last = data[start : start + size].tobytes().rfind(_NEWLINE)
    if last >= 0:
        return start + last
    for block in range(start + size, end, size):
        found = data[block : min(block + size, end)].tobytes().find(_NEWLINE)
        if found >= 0:
            return block + found
    return end
