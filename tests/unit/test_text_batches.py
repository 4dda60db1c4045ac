"""Texts from Python and from Arrow as bytes: nothing lost, nothing copied that needn't be, bad ones named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpora.errors import BadArgument
from corpora.perplexity.text_batches import text_batches

TEXTS = ["", "a", None, "ñandú\nluz", "línea\n" * 50, None, "", "日本語", "x" * 300, "\n" * 90, "fin"] * 3


def gathered(texts: Any, *, cut: bool = False, size: int = 100) -> list[str | None]:
    """The texts again, those in parts joined by newlines."""
    found: list[str | None] = [None] * len(texts)
    parts: dict[int, list[str]] = {}
    for batch in text_batches(texts, cut=cut, size=size):
        for number, null in enumerate(batch.null.tolist()):
            text = batch.data[batch.offsets[number] : batch.offsets[number + 1]].tobytes().decode()
            if not null:
                parts.setdefault(batch.row + number, []).append(text)
            assert not (null and text)
    for row, pieces in parts.items():
        found[row] = "\n".join(pieces)
    return found


ARRAYS = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "string": pa.array(TEXTS),
    "large_string": pa.array(TEXTS, pa.large_string()),
    "string_view": pa.array(TEXTS, pa.string_view()),
    "chunked": pa.chunked_array([TEXTS[:7], [], TEXTS[7:]], pa.string()),
    "sliced": pa.array(["before", None, *TEXTS, "after"])[2:-1],
    "chunked and sliced": pa.chunked_array([["x", *TEXTS[:9]], [*TEXTS[9:], "y"]])[1:-1],
}


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("kind", ARRAYS)
def test_all_texts_come_in_order(kind: str, cut: bool) -> None:
    assert gathered(ARRAYS[kind], cut=cut) == TEXTS


def test_nothing_gives_nothing() -> None:
    empty = pa.chunked_array([], pa.string())
    assert gathered([]) == gathered(pa.array([], pa.string())) == gathered(empty) == []
    assert gathered(pa.nulls(3)) == [None] * 3
    assert gathered(pa.array([None], pa.string())) == [None]


def test_batches_are_of_about_their_size() -> None:
    for texts in (["abcd\nefgh"] * 100, pa.array(["abcd\nefgh"] * 100)):
        assert {len(batch.offsets) - 1 for batch in text_batches(texts, cut=True, size=30)} <= {3, 1}
    long = "abcd\n" * 1000 + "z" * 500
    for texts in ([long], pa.array([long])):
        lengths = [int(np.diff(batch.offsets).sum()) for batch in text_batches(texts, cut=True, size=64)]
        assert max(lengths[:-1]) <= 64
        assert lengths[-1] == 500
        assert [len(batch.offsets) for batch in text_batches(texts, cut=False, size=64)] == [2]


def test_arrow_buffers_are_used_in_place() -> None:
    array = pa.array(["abc"] * 10)[3:]
    [batch] = text_batches(array, cut=True)
    assert batch.data.ctypes.data == array.buffers()[2].address


def test_bytes_below_a_null_are_no_text() -> None:
    """Arrow lets a null's place hold anything."""
    full = pa.array(["ab", "\n\n", "cd"])
    holed = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), *full.buffers()[1:]])
    assert gathered(holed) == ["ab", None, "cd"]


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["a", "b\ud800c"], r"text 1 has a lone surrogate \(U\+D800 at character 1\)"),
        (["a", b"b"], "text 1 is bytes"),
        ([None, 3], "text 1 is int"),
        (pa.array([1]), "int64"),
        (pa.array(["a"]).dictionary_encode(), "dictionary"),
        (pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers()), "row 0 on"),
    ],
)
def test_bad_texts_are_named(texts: Any, told: str) -> None:
    with pytest.raises(BadArgument, match=told) as raised:
        gathered(texts)
    assert "\n" not in str(raised.value)


def test_one_text_is_not_a_list_of_them() -> None:
    with pytest.raises(BadArgument, match=r"\[text\]"):
        text_batches("a text", cut=True)
