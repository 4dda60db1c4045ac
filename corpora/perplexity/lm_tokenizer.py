"""The tokenizer of a language model: a SentencePiece unigram model trained on a sample of the model's own lines."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType

from corpora.encoding.sentencepiece.rounded_scores import with_rounded_scores
from corpora.encoding.sentencepiece.training import TrainingRefused, train_sentencepiece
from corpora.errors import BadArgument
from corpora.files import cannot_write
from corpora.perplexity.settings import CHARACTER_COVERAGE, SENTENCEPIECE_THREADS
from corpora.randomness import uniform

SAMPLE_BYTES = 25_000_000  # enough for 32,000 pieces, and half a minute of training
LONGEST_LINE = 1_000_000  # bytes; SentencePiece skips longer lines (ccnet's lines are whole documents)
_LINES_BETWEEN_UPDATES = 1 << 14


class Spool:
    """Lines kept in a temporary file beside `out`, to be read more than once; removed on leaving the `with` block."""

    def __init__(self, out: Path) -> None:
        self.path = out.with_name(f"{out.name}.lines.tmp-{uuid.uuid4().hex[:12]}")
        self.bytes = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.path.unlink(missing_ok=True)

    def fill(self, lines: Iterable[str]) -> int:
        """Writes lines without a newline in them; skips blank ones and returns how many. Raises TamizError."""
        blank = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "wb") as file:
                for line in lines:
                    if line:
                        self.bytes += file.write(line.encode() + b"\n")
                    else:
                        blank += 1
        except OSError as error:
            self.path.unlink(missing_ok=True)
            raise cannot_write(self.path, error, self.bytes, at_least=True) from error
        return blank

    def lines(self, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Iterator[str]:
        """Yields all lines again; progress is in bytes."""
        done = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file):
                yield line[:-1].decode()
                done += len(line)
                if number % _LINES_BETWEEN_UPDATES == 0:
                    progress(done, self.bytes)


def train_tokenizer(spool: Spool, vocabulary_size: int, kept: Path | None = None) -> bytes:
    """The tokenizer of the spooled lines: of a sample of them, if they have more than SAMPLE_BYTES."""
    share = share_of(spool.bytes)
    lines = spool.lines()
    return train_on_lines(lines if share >= 1 else (line for line in lines if drawn(line) < share),
                          vocabulary_size, kept)  # fmt: skip


def train_on_lines(lines: Iterable[str], vocabulary_size: int, kept: Path | None = None) -> bytes:
    """A model of `vocabulary_size` pieces, or fewer if the text doesn't support them; the same for the same lines.

    Trained as CCNet's (cc_net/Makefile): unigram, character coverage 0.9995, nmt_nfkc; then its scores are rounded.
    lines: all of the text's, or those whose draw is below `share_of` its bytes. kept: see `train_sentencepiece`.
    Raises BadArgument if the pieces can't cover the text's characters.
    """
    options = {
        "model_type": "unigram",
        "vocab_size": vocabulary_size,
        "hard_vocab_limit": False,
        "character_coverage": CHARACTER_COVERAGE,
        "normalization_rule_name": "nmt_nfkc",
        "max_sentence_length": LONGEST_LINE,
        "num_threads": SENTENCEPIECE_THREADS,
        "minloglevel": 2,
    }
    try:
        model = train_sentencepiece(lines, options, kept)
    except TrainingRefused as error:
        reason = " ".join(str(error).split())[-160:]
        raise BadArgument(f"can't train a tokenizer of {vocabulary_size} pieces on this text: {reason}") from None
    return with_rounded_scores(model)


def share_of(size: int) -> float:
    """The share of the lines of a text of `size` bytes that are sampled, keyed by their text; 1 or more: all."""
    return SAMPLE_BYTES / max(size, 1)


def drawn(line: str) -> float:
    """The line's draw, in [0, 1)."""
    return uniform(0, "lm-tokenizer", line)
