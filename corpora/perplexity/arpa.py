r"""A model as text, in the ARPA format as lmplz writes it: `\data\`, the counts, then every n-gram in log10."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpora.files import atomic_path
from corpora.perplexity.kneser_ney import NgramModel

PART = 1 << 16  # n-grams formatted at a time

_join: Any = pc.binary_join_element_wise  # the stubs know neither a separator argument nor a single result
_join_list: Any = pc.binary_join

Float = npt.NDArray[np.float32]
Block = tuple[npt.NDArray[np.uint32], Float, Float | None]  # word ids [n, order], log10 probabilities, back-offs


class ArpaFile:
    """An ARPA file being written, order after order."""

    def __init__(self, file: IO[bytes], words: Sequence[str]) -> None:
        self._file = file
        self._words = pa.array(words, pa.string())

    def write_section(self, order: int, blocks: Iterable[Block]) -> None:
        """One line per n-gram, tab-separated: log10 probability, words, log10 back-off (not in the highest order)."""
        self._file.write(f"\\{order}-grams:\n".encode())
        for ngrams, probabilities, backoffs in blocks:
            words = [self._words.take(pa.array(column)) for column in ngrams.T]
            columns = [format_float32(probabilities), _join(*words, " ")]
            if backoffs is not None:
                columns.append(format_float32(backoffs))
            lines = _join(*columns, "\t")
            whole = pa.ListArray.from_arrays([0, len(lines)], lines)
            self._file.write(_join_list(whole, "\n")[0].as_buffer())
            self._file.write(b"\n" if len(lines) else b"")
        self._file.write(b"\n")


@contextmanager
def new_arpa_file(path: str | Path, counts: Sequence[int], words: Sequence[str]) -> Iterator[ArpaFile]:
    """An ARPA file that appears at `path` if the block succeeds. words: the strings of the model's word ids."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        header = "".join(f"ngram {order}={count}\n" for order, count in enumerate(counts, 1))
        file.write(f"\\data\\\n{header}\n".encode())
        yield ArpaFile(file, words)
        file.write(b"\\end\\\n")


def write_arpa(path: str | Path, model: NgramModel, words: Sequence[str]) -> None:
    """Writes `model` atomically. words: the strings of the ids in the text that the model was estimated from."""
    with new_arpa_file(path, model.counts, [words[word] for word in model.kept_words]) as file:
        for order in range(1, model.order + 1):
            file.write_section(order, _blocks(model, order))


def _blocks(model: NgramModel, order: int) -> Iterator[Block]:
    table = model.tables[order - 1]
    for start in range(0, len(table.ends), PART):
        part = slice(start, start + PART)
        backoffs = None if table.log10_backoff is None else table.log10_backoff[part]
        yield model.ngrams(order, part), table.log10_probability[part], backoffs


def format_float32(values: Float) -> Any:
    """An Arrow array of strings: the fewest digits that round-trip the float32.

    Plain decimals from 1e-6 up; whole numbers without a point.
    """
    return pa.array(values + np.float32(0)).cast(pa.string())  # -0.0 + 0.0 is 0.0: lmplz writes no -0
