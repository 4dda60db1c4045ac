"""What the first batch of a training shows: whether a model that knows nothing has the loss of one, and EOS."""

from __future__ import annotations

import logging
import math

import torch

from corpora.errors import TamizError
from tamiz.trainer.families.base import IGNORED

_LOG = logging.getLogger(__name__)

# A new model's loss is near ln V. Where the output layer shares the embedding's weights, as in T5 1.0, it has up to
# 8 nats more, the more so the wider the model and the fewer its ids (measured: 5.95 -> 13.6 with 384 ids and width
# 768); with an output layer of the wrong spread, it has tens to hundreds.
MOST_FACTOR, MOST_MORE = 2.0, 8.0
LEAST_FACTOR = 0.5


def check_first_loss(loss: float, vocab_size: int) -> str:
    """The line that compares the first loss of a model with random weights, in nats, with ln V.

    Raises TamizError if it is far above ln V (2 ln V + 8): then the weights' initial spread is wrong. Warns if it is
    below half of ln V: then targets are hardly more than repetitions, or the model sees them.
    """
    expected = math.log(vocab_size)
    said = (
        f"the first loss is {loss:.3f} nats; ln {vocab_size:,}, that of a model that knows nothing, is {expected:.3f}"
    )
    if loss > MOST_FACTOR * expected + MOST_MORE:
        raise TamizError(
            f"{said}: the initial weights of the output layer are too large; check the family's `new` (tied layers "
            "need scaled logits, separate ones a small standard deviation)"
        )
    if loss < LEAST_FACTOR * expected:
        _LOG.warning("%s: do the targets repeat themselves, or does the model see them?", said)
    return said


def eos_line(targets: torch.Tensor, eos_id: int | None) -> str:
    """How many targets of a batch are EOS. Warns if none is: such a model doesn't learn to end a text."""
    total = int((targets != IGNORED).sum())
    ends = int((targets == eos_id).sum()) if eos_id is not None else 0
    said = f"the first batch has {total:,} targets, {ends:,} of them EOS"
    if not ends:
        why = "the tokenizer has no EOS" if eos_id is None else f"none is EOS (id {eos_id})"
        _LOG.warning(
            "the first batch has %s targets, and %s: if others are the same, the model doesn't learn to end a text "
            "(shards.eos)", f"{total:,}", why,
        )  # fmt: skip
    return said
