"""Fills masked spans of a text with a trained T5."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from corpora.errors import BadArgument
from tamiz.trainer.quiet import no_progress_bars

_SPAN = re.compile(r"<extra_id_\d+>")


def fill_spans(folder: str | Path, text: str, *, max_new_tokens: int, num_beams: int) -> str:
    """`text` with each <extra_id_k> replaced by the model's most likely text, of at least one id.

    Spans are filled from left to right; each depends on the spans before it. The rest of `text` is returned
    unchanged, even if the tokenizer normalises it. Raises BadArgument if `text` has no spans, or if they aren't
    <extra_id_0>, <extra_id_1>, ... in this order.
    """
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    spans = _spans(text)
    with no_progress_bars():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    known = tokenizer.get_vocab()
    if spans[-1] not in known:
        raise BadArgument(f"the text has {len(spans)} spans, but the tokenizer has no {spans[-1]}: use fewer spans")
    for span, filling in zip(spans, _fillings(model, tokenizer, text, spans, max_new_tokens, num_beams), strict=True):
        text = text.replace(span, filling)
    return text


def _spans(text: str) -> list[str]:
    spans = _SPAN.findall(text)
    if not spans:
        raise BadArgument("the text has no span to fill: write <extra_id_0> where text is missing")
    expected = [f"<extra_id_{n}>" for n in range(len(spans))]
    if spans != expected:
        raise BadArgument(f"the text has the spans {' '.join(spans)}; number them {' '.join(expected)}")
    return spans


def _fillings(
    model: Any, tokenizer: Any, text: str, spans: list[str], max_new_tokens: int, num_beams: int
) -> list[str]:
    """Generates the text of each span, after its sentinel and up to the next sentinel or the end."""
    import torch

    ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
    sentinels = [i for token, i in tokenizer.get_vocab().items() if _SPAN.fullmatch(token)]
    ends = [tokenizer.eos_token_id, *sentinels]
    decoded, fillings = [model.config.decoder_start_token_id], []
    for span in spans:
        decoded.append(tokenizer.convert_tokens_to_ids(span))
        made = model.generate(
            input_ids=torch.tensor([ids]),
            decoder_input_ids=torch.tensor([decoded]),
            max_new_tokens=max_new_tokens,
            num_beams=num_beams,
            do_sample=False,
            eos_token_id=ends,
            begin_suppress_tokens=ends,
            suppress_tokens=[tokenizer.pad_token_id, tokenizer.unk_token_id],
        )
        filling = [i for i in made[0].tolist()[len(decoded) :] if i not in ends and i != tokenizer.pad_token_id]
        decoded += filling
        fillings.append(str(tokenizer.decode(filling)).strip())
    return fillings
