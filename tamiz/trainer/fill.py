"""Fills a masked span with a trained T5."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from corpora.errors import BadArgument
from tamiz.trainer.quiet import no_progress_bars

SPAN = "<extra_id_0>"


def fill_span(model_dir: str | Path, text: str, *, max_new_tokens: int = 12, num_beams: int = 4) -> str:
    """`text` with its <extra_id_0> replaced by the model's likeliest filling, of at least one id.

    The rest of `text` comes back as it was given, whatever the tokenizer's normaliser does to it. Raises BadArgument
    where `text` has no <extra_id_0>, or several.
    """
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    if text.count(SPAN) != 1:
        raise BadArgument(f"the text has {text.count(SPAN)} times {SPAN}: it must have one")
    with no_progress_bars():
        tokenizer = AutoTokenizer.from_pretrained(model_dir)
        model = AutoModelForSeq2SeqLM.from_pretrained(model_dir).eval()
    return text.replace(SPAN, _generate(model, tokenizer, text, max_new_tokens, num_beams))


def _generate(model: Any, tokenizer: Any, text: str, max_new_tokens: int, num_beams: int) -> str:
    """Generates after the span's own sentinel, up to the next sentinel or the end."""
    import torch

    ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
    sentinels = [i for token, i in tokenizer.get_vocab().items() if re.fullmatch(r"<extra_id_\d+>", token)]
    ends = [tokenizer.eos_token_id, *sentinels]
    begun = [model.config.decoder_start_token_id, tokenizer.convert_tokens_to_ids(SPAN)]
    made = model.generate(
        input_ids=torch.tensor([ids]),
        decoder_input_ids=torch.tensor([begun]),
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        do_sample=False,
        eos_token_id=ends,
        begin_suppress_tokens=ends,
        suppress_tokens=[tokenizer.pad_token_id, tokenizer.unk_token_id],
    )
    filling = [i for i in made[0].tolist()[len(begun) :] if i not in ends and i != tokenizer.pad_token_id]
    return str(tokenizer.decode(filling)).strip()
