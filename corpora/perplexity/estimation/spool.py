"""The ids of a text of unknown length: in memory, or in a temporary file beyond a bound."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from corpora.errors import TamizError
from corpora.files import cannot_write
from corpora.perplexity.estimation.scratch import ADVICE, Scratch
from corpora.perplexity.estimation.suffix_order import Ids
from corpora.perplexity.ngram_counts import BEGIN

MOST_POSITIONS = (1 << 32) - 64  # positions are uint32
BLOCK = 1 << 23  # ids; large enough for the C library to return each block to the system when freed

Block = npt.NDArray[np.uint32]


class IdSpool:
    """Ids in order. One thread adds them; then `text` is called once."""

    def __init__(self, out: str | Path, memory: int) -> None:
        """memory: bytes of ids to hold, at least a block; the rest goes to an unlinked file beside `out`."""
        self.length = 0
        self._out = Path(out)
        self._most_blocks = max(1, memory // (4 * BLOCK))
        self._blocks: list[Block] = []
        self._free = 0  # ids that still fit into the last block
        self._file: IO[bytes] | None = None

    def add(self, ids: Block) -> None:
        """Appends ids. Raises TamizError beyond MOST_POSITIONS, or if the file can't be written."""
        self.length += len(ids)
        check_length(self.length)
        while len(ids):
            if not self._free:
                self._new_block()
            part = ids[: self._free]
            start = BLOCK - self._free
            self._blocks[-1][start : start + len(part)] = part
            self._free -= len(part)
            ids = ids[len(part) :]

    def _new_block(self) -> None:
        if len(self._blocks) == self._most_blocks:
            self._spill()
        self._blocks.append(np.empty(BLOCK, np.uint32))
        self._free = BLOCK

    def _spill(self) -> None:
        path = self._out.with_name(f"{self._out.name}.ids.tmp-{uuid.uuid4().hex[:12]}")
        try:
            if self._file is None:
                self._file = open(path, "w+b", buffering=0)  # noqa: SIM115 - `text` closes it
                path.unlink()
            for block in self._blocks:
                left = block.data.cast("B")
                while len(left):  # a disk that fills up takes a part, and the next write says why
                    left = left[self._file.write(left) :]
        except OSError as error:
            needed = 4 * self.length
            if self._file is not None:
                self._file.close()
            raise cannot_write(path, error, needed, at_least=True, name=f"a temporary file beside {self._out}",
                               advice=ADVICE) from error  # fmt: skip
        self._blocks = []

    def text(self, lead: int, words: int, scratch: Scratch) -> Ids:
        """`lead` times `<s>`, all ids, and one `<s>`; 16 bits each if `words` ids fit. Empties the spool."""
        dtype = np.uint16 if words <= 1 << 16 else np.uint32
        text = scratch.array(lead + self.length + 1, dtype)
        text[:lead] = BEGIN
        text[-1] = BEGIN
        filled = lead
        if self._file is not None:
            self._file.seek(0)
            while data := self._file.read(4 * BLOCK):
                filled = _append(text, filled, np.frombuffer(data, np.uint32))
            self._file.close()
        self._blocks.reverse()
        while self._blocks:
            filled = _append(text, filled, self._blocks.pop()[: lead + self.length - filled])
        assert filled == lead + self.length
        return text


def check_length(length: int) -> None:
    """Raises TamizError beyond MOST_POSITIONS."""
    if length > MOST_POSITIONS:
        most = f"{MOST_POSITIONS:,} words and sentence ends"
        raise TamizError(f"the text has more than {most}, the limit of 32-bit positions: use less text")


def _append(text: Ids, filled: int, ids: Block) -> int:
    text[filled : filled + len(ids)] = ids
    return filled + len(ids)
