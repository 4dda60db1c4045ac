r"""A model as text, in ARPA's format, as lmplz writes it: `\data\`, the counts, then every n-gram in log10."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.files import atomic_path
from corpora.perplexity.kneser_ney import NgramModel

_PART = 1 << 16  # n-grams turned to text at a time


def write_arpa(path: str | Path, model: NgramModel, words: Sequence[str]) -> None:
    """Writes `model` atomically. words: the strings of the ids in the text that the model was estimated from."""
    names = np.array([words[word] for word in model.kept_words], object)
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        counts = "".join(f"ngram {order}={count}\n" for order, count in enumerate(model.counts, 1))
        file.write(f"\\data\\\n{counts}\n")
        for order in range(1, model.order + 1):
            file.write(f"\\{order}-grams:\n")
            file.writelines(_lines(model, order, names))
            file.write("\n")
        file.write("\\end\\\n")


def _lines(model: NgramModel, order: int, names: npt.NDArray[np.object_]) -> Iterator[str]:
    """One line an n-gram: log10 probability, words, and below the highest order log10 back-off, between tabs."""
    table = model.tables[order - 1]
    for start in range(0, len(table.ends), _PART):
        part = slice(start, start + _PART)
        columns = [format_float32(table.log10_probability[part])]
        columns.append([" ".join(ngram) for ngram in names[model.ngrams(order, part)].tolist()])
        if table.log10_backoff is not None:
            columns.append(format_float32(table.log10_backoff[part]))
        yield "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True))


def format_float32(values: npt.NDArray[np.float32]) -> list[str]:
    """The fewest digits that give the float32 back; plain decimals from 1e-6 up; whole numbers without a point."""
    return [_format(value) for value in values]


def _format(value: np.float32) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1e-6:
        return np.format_float_positional(value, trim="-")
    return np.format_float_scientific(value, trim="-", exp_digits=1)
