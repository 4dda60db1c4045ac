"""How the next id is chosen: the most likely text by beam search, or drawn at random."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from corpora.errors import BadArgument

NUM_BEAMS = 4


class Sampling(NamedTuple):
    """Random choice. temperature: divides the logits, above 0. top_p: only the most likely ids whose probabilities
    add up to it are drawn, above 0 and at most 1. Equal seeds give equal texts."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def checked(self) -> Sampling:
        """Raises BadArgument for values out of bounds."""
        if not 0.0 < self.temperature < float("inf"):
            raise BadArgument(f"temperature is {self.temperature}; it must be above 0 and finite")
        if not 0.0 < self.top_p <= 1.0:
            raise BadArgument(f"top-p is {self.top_p}; it must be above 0 and at most 1")
        return self


@contextlib.contextmanager
def choosing(num_beams: int, sampling: Sampling | None) -> Iterator[dict[str, Any]]:
    """The arguments of `generate` of transformers. torch's random state is restored afterwards."""
    import torch

    if sampling is None:
        yield {"num_beams": num_beams, "do_sample": False}
        return
    with torch.random.fork_rng():
        torch.manual_seed(sampling.seed)
        chosen = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        yield {"num_beams": 1, "do_sample": True, **chosen}


def beyond(tokenizer: Any, rows: int) -> list[int]:
    """The rows of a vocabulary that no token of the tokenizer has: nothing was learnt about them."""
    known = set(tokenizer.get_vocab().values())
    return [number for number in range(rows) if number not in known]
