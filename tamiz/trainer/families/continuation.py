"""Continues a text with a trained causal model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpora.errors import BadArgument
from tamiz.trainer.quiet import no_progress_bars


def continue_text(folder: str | Path, text: str, *, max_new_tokens: int, num_beams: int) -> str:
    """`text` and what the model finds likeliest to follow, up to the end of a document.

    The text comes back unchanged, whatever the tokenizer's normaliser does to it. An empty one is begun from the
    model's BOS, or from its EOS where it has none. Raises BadArgument where text and continuation are longer than the
    model reads.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with no_progress_bars():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
    config = model.config
    begin = config.eos_token_id if config.bos_token_id is None else config.bos_token_id
    ids = tokenizer.encode(text, add_special_tokens=False) or ([] if begin is None else [begin])
    if not ids:
        raise BadArgument("the text is empty, and this model has no BOS or EOS to begin from: give a text")
    most = getattr(config, "max_position_embeddings", None)
    if most is not None and len(ids) + max_new_tokens > most:
        raise BadArgument(
            f"the text has {len(ids)} ids and max_new_tokens is {max_new_tokens}; together they may have {most}: "
            "shorten one"
        )
    given = torch.tensor([ids])
    made = model.generate(
        input_ids=given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        do_sample=False,
        pad_token_id=config.eos_token_id,
    )[0].tolist()
    return text + _added(tokenizer, ids, made)


def _added(tokenizer: Any, ids: list[int], made: list[int]) -> str:
    """The text of the ids that `made` adds to `ids`, with the space that separates them, if any."""
    before, whole = (str(tokenizer.decode(part, skip_special_tokens=True)) for part in (ids, made))
    return whole[len(before) :] if whole.startswith(before) else str(tokenizer.decode(made[len(ids) :]))
