"""Continues a text with a trained causal model."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from corpora.errors import BadArgument
from tamiz.trainer.families.decoding import Sampling, beyond, choosing
from tamiz.trainer.loading import load_model

_LOG = logging.getLogger(__name__)
_SPAN = re.compile(r"<extra_id_\d+>")


def continue_text(
    folder: str | Path, text: str, *, max_new_tokens: int, num_beams: int, sampling: Sampling | None = None
) -> str:
    """`text` and its most likely continuation, up to the end of the document; or a continuation drawn at random.

    The text itself is returned unchanged, even if the tokenizer normalises it. For an empty text, generation starts
    from the model's BOS, or from EOS if it has no BOS. Raises BadArgument if text and continuation are longer than
    the model can read.
    """
    if span := _SPAN.search(text):
        _LOG.warning("%s is taken as plain text: a causal model continues a text; a T5 fills masked spans", span[0])
    import torch
    from transformers import AutoModelForCausalLM

    model, tokenizer = load_model(folder, AutoModelForCausalLM)
    model.eval()
    config = model.config
    begin = config.eos_token_id if config.bos_token_id is None else config.bos_token_id
    ids = tokenizer.encode(text, add_special_tokens=False) or ([] if begin is None else [begin])
    if not ids:
        raise BadArgument("the text is empty, and this model has no BOS or EOS to start from: give a text")
    most = getattr(config, "max_position_embeddings", None)
    if most is not None and len(ids) + max_new_tokens > most:
        raise BadArgument(
            f"the text has {len(ids)} ids and max_new_tokens is {max_new_tokens}; the sum must be at most {most}: "
            "shorten one"
        )
    given = torch.tensor([ids])
    with choosing(num_beams, sampling) as how:
        made = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=max_new_tokens,
            suppress_tokens=_never(tokenizer, config),
            pad_token_id=config.eos_token_id,
            **how,
        )[0].tolist()
    return text + _added(tokenizer, ids, made)


def _never(tokenizer: Any, config: Any) -> list[int] | None:
    """The ids that no text has: padding, unknown, BOS, sentinels, and rows that no token has."""
    named = {tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id}
    sentinels = {number for token, number in tokenizer.get_vocab().items() if _SPAN.fullmatch(token)}
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    never = {*named, *sentinels, *beyond(tokenizer, config.vocab_size)} - {None, *ends}
    return sorted(never) or None


def _added(tokenizer: Any, ids: list[int], made: list[int]) -> str:
    """The text that the ids `made` add to `ids`, including a space that separates them, if any."""
    before, whole = (str(tokenizer.decode(part, skip_special_tokens=True)) for part in (ids, made))
    return whole[len(before) :] if whole.startswith(before) else str(tokenizer.decode(made[len(ids) :]))
