"""Sums over the lines of each document, compiled: in the order of the lines, in float64.

Twin: tests/reference/kenlm_loop.py::perplexity
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.compiled import kernel

Counts = npt.NDArray[np.int64]


class LineScores(NamedTuple):
    """scores float32[lines]: log10; lengths int64[lines]: words and `</s>`; lines_per_document int64[n].

    tokens, unknown: how many words or pieces the lines have together, and how many the model doesn't know.
    """

    scores: npt.NDArray[np.float32]
    lengths: Counts
    lines_per_document: Counts
    tokens: int
    unknown: int


@kernel
def add_lines(lines: LineScores, totals: npt.NDArray[np.float64], lengths: Counts) -> None:
    """Adds each line's score and length to its document's."""
    line = 0
    for document in range(len(lines.lines_per_document)):
        for _ in range(lines.lines_per_document[document]):
            totals[document] += np.float64(lines.scores[line])
            lengths[document] += lines.lengths[line]
            line += 1
