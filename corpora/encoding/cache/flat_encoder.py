"""`encode_flat` for any encoder: the first fast way that is exact, or else the engine of record."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from corpora.encoding.cache.lending import Lender
from corpora.encoding.flat import FlatIds, flat_ids
from corpora.texts import Utf8, utf8

OfRecord = Callable[[list[str]], Sequence[NDArray[np.integer]]]


class FastWay(Protocol):
    """Serves one thread at a time.

    On the text seen so far, seldom_serve: the engine of record is faster; slower_than_next: the next way is faster.
    """

    @property
    def engine(self) -> str: ...
    @property
    def seldom_serve(self) -> bool: ...
    @property
    def slower_than_next(self) -> bool: ...
    def encode_flat(self, texts: Utf8, /) -> FlatIds:
        """Raises ValueError for texts that it can't encode."""


Make = Callable[[int], FastWay]
Find = Callable[[], Make | None]
_BATCH_BYTES = 1 << 20  # bytes of text per call of the engine: its results take many times the memory of the ids
_log = logging.getLogger(__name__)

# Text that tokenizers tend to get wrong. A fast way is used only if it agrees with the engine on all of it.
SAMPLE = [
    "",
    " ",
    "\n",
    "El niño comió 1.234,56 piñas; ¿cuántas?  ¡Adiós!\nDon't we'll I'VE 'S x's  's",
    "東京は日本の首都。人口は1400万人。 서울은 대한민국의 수도이다. 你好，世界！ ﾊﾞ ｶﾞ 한글",
    "👨‍👩‍👧‍👦 🏳️‍🌈 🇪🇸 ☕️ 👍🏽 a🙂b \U0001f9ff\U0001fae0 \U0002f800 \U00020000b \U0010fffd",
    "  a   b \t c\r\nd \n\n  e\n  f \x0b\x0c\x1c\x1f\x85\xa0\u2028\u3000x\u200b\u200d\ufeff ",
    "<s> </s><pad> <unk><|endoftext|> <|end_of_text|> <extra_id_0> <mask> [CLS] <0x41> ▁a ▁▁",
    "a\0b \0 \x01\x02\x7f",
    "ÀÉîöÜß ×÷ ſ ŒŸ e\u0301 n\u0303 A\u0316\u0301 \u1112\u1161\u11ab ﬁ ﷺ ½ ⅷ ² ٣ १ Ω Σς Жд שלום مرحبا हिन्दी ไทย",
    "x" * 300 + " " + "ab" * 100 + " " + "é" * 40 + " 1234567890" * 9 + "!" * 70 + "-=" * 40,
    "a" + " " * 50 + "\n" * 20 + ".",
    "https://ejemplo.es/a_b?c=%C3%B1&d=#e {\"k\": [1, -2.5e3]} for(i=0;i<n;++i){\n\treturn x->y;}  // ok",
]  # fmt: skip


class _Way(NamedTuple):
    engine: str
    lender: Lender[FastWay]


class FlatEncoder:
    """Threads may share one: each working thread borrows a fast way with its word cache, see `lending`.

    record: the engine of record, named `name`. ways: each returns a function that makes a fast way with a cache of at
    most the given bytes, or None if there is no such way for this tokenizer. The first one is used; if it is slower
    or fails, the next one, and finally the engine. A way whose ids differ from the engine's on SAMPLE is never used,
    and a warning is logged.
    """

    def __init__(
        self, name: str, record: OfRecord, dtype: np.dtype[np.unsignedinteger], ways: Sequence[Find]
    ) -> None:
        self._name, self._record, self._dtype, self._ways = name, record, dtype, ways
        self._checked: list[_Way | None] = []  # the ways needed so far
        self._lock = threading.Lock()

    @property
    def engine(self) -> str:
        """The first usable way: `word cache`, `fastokens 0.3.5`, or the engine of record and its version."""
        return next((way.engine for way in self._serving()), self._name)

    def encode(self, texts: Utf8) -> FlatIds:
        for number, serving in enumerate(self._serving(), 1):
            try:
                with serving.lender.lent() as way:
                    if not way.seldom_serve and not (
                        way.slower_than_next and any(islice(self._serving(), number, None))
                    ):
                        return way.encode_flat(texts)
            except ValueError as error:
                _log.warning("%s can't encode some texts (%s): using a slower encoder", serving.engine, error)
        return self._by_record(texts)

    def _serving(self) -> Iterator[_Way]:
        """The ways that agree with the engine of record. Each is made and checked when it is first needed."""
        for number, find in enumerate(self._ways):
            with self._lock:
                if number == len(self._checked):
                    make = find()
                    self._checked.append(None if make is None else self._agreeing(make))
                way = self._checked[number]
            if way is not None:
                yield way

    def _agreeing(self, make: Make) -> _Way | None:
        """The way, if it agrees with the engine of record on SAMPLE."""
        sample = utf8(SAMPLE)
        try:
            way = make(1 << 16)
            found = [way.encode_flat(sample) for _ in range(2)]  # first as new words, then from the cache
        except Exception as error:
            self._say_why(f"failed ({type(error).__name__}: {error})")
            return None
        expected = self._by_record(sample)
        for ids, offsets in found:
            if not np.array_equal(ids, expected.ids) or not np.array_equal(offsets, expected.offsets):
                self._say_why(f"({way.engine}) gave different ids")
                return None
        return _Way(way.engine, Lender(make))

    def _say_why(self, why: str) -> None:
        _log.warning("a fast encoder %s on a sample: falling back to a slower one, at worst %s", why, self._name)

    def _by_record(self, texts: Utf8) -> FlatIds:
        parts = [flat_ids([], self._dtype)]
        for batch in _batches(texts):
            parts.append(flat_ids(self._record(batch.strings), self._dtype))
        ends = np.cumsum([0, *(part.offsets[-1] for part in parts)])
        offsets = [part.offsets[1:] + end for part, end in zip(parts, ends[:-1], strict=True)]
        return FlatIds(
            np.concatenate([part.ids for part in parts]), np.concatenate([np.zeros(1, np.int64), *offsets])
        )


def _batches(texts: Utf8) -> Iterator[Utf8]:
    """Consecutive texts, about _BATCH_BYTES at a time, but at least one text."""
    start, count = 0, len(texts.offsets) - 1
    while start < count:
        stop = int(np.searchsorted(texts.offsets, texts.offsets[start] + _BATCH_BYTES, "right")) - 1
        stop = min(max(stop, start + 1), count)
        yield Utf8(texts.data, texts.offsets[start : stop + 1])
        start = stop
