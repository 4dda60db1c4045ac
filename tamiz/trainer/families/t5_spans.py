"""Fills masked spans of a text with a trained T5."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from corpora.errors import BadArgument
from tamiz.trainer.families.decoding import Sampling, beyond, choosing
from tamiz.trainer.loading import load_model

_SPAN = re.compile(r"<extra_id_\d+>")
MOST_IDS, MOST_BYTES = 12, 60  # per span, unless the caller says so: about 10 words, and 3 mean spans of ByT5


class Spans(NamedTuple):
    """The ids that a model knows as sentinels, in order, and what it reads."""

    sentinels: list[int]
    ids: list[int]


def fill_spans(
    folder: str | Path, text: str, *, max_new_tokens: int | None, num_beams: int, sampling: Sampling | None = None
) -> str:
    """`text` with each <extra_id_k> replaced by the model's most likely text, of at least one id.

    Spans are filled from left to right; each depends on the spans before it. The rest of `text` is returned
    unchanged, even if the tokenizer normalises it. Raises BadArgument if `text` has no spans, or if they aren't
    <extra_id_0>, <extra_id_1>, ... in this order.
    """
    from transformers import AutoModelForSeq2SeqLM

    spans = _spans(text)
    model, tokenizer = load_model(folder, AutoModelForSeq2SeqLM)
    model.eval()
    read = _read(Path(folder), tokenizer, text, len(spans))
    most = max_new_tokens or (MOST_BYTES if _is_bytes(tokenizer) else MOST_IDS)
    with choosing(num_beams, sampling) as how:
        fillings = _fillings(model, tokenizer, read, len(spans), {**how, "max_new_tokens": most})
    for span, filling in zip(spans, fillings, strict=True):
        text = text.replace(span, filling, 1)
    return text


def _spans(text: str) -> list[str]:
    spans = _SPAN.findall(text)
    if not spans:
        raise BadArgument("the text has no span to fill: write <extra_id_0> where text is missing")
    expected = [f"<extra_id_{n}>" for n in range(len(spans))]
    if spans != expected:
        raise BadArgument(f"the text has the spans {' '.join(spans)}; number them {' '.join(expected)}")
    return spans


def _is_bytes(tokenizer: Any) -> bool:
    """Whether an id is a byte: then a space before a span is one of the ids that the model has read."""
    text = "a aé"
    return bool(tokenizer.encode(text, add_special_tokens=False) == [byte + 3 for byte in text.encode()])


def _read(folder: Path, tokenizer: Any, text: str, count: int) -> Spans:
    """The text's ids, with the sentinels that the weights know: those of google's ByT5 aren't what its tokenizer
    calls them."""
    from tamiz.trainer.sentinels import encoder_of_model

    encoder = encoder_of_model(folder)
    known = 0 if encoder is None else encoder.num_sentinels
    if encoder is None or known < count:
        raise BadArgument(f"the text has {count} spans, but the tokenizer has no <extra_id_{known}>: use fewer spans")
    sentinels = [encoder.sentinel_id(k) for k in range(known)]
    if not _is_bytes(tokenizer):
        return Spans(sentinels, [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id])
    ids: list[int] = []
    for number, part in enumerate(_SPAN.split(text)):
        ids += [sentinels[number - 1]] if number else []
        ids += tokenizer.encode(part, add_special_tokens=False) if part else []
    return Spans(sentinels, [*ids, tokenizer.eos_token_id])


def _fillings(model: Any, tokenizer: Any, read: Spans, count: int, how: dict[str, Any]) -> list[str]:
    """Generates the text of each span, after its sentinel and up to the next sentinel or the end."""
    import torch

    special = [i for i in (tokenizer.pad_token_id, tokenizer.unk_token_id) if i is not None]
    never = {*special, *beyond(tokenizer, model.config.vocab_size), *read.sentinels}
    decoded, fillings = [model.config.decoder_start_token_id], []
    for number in range(count):
        decoded.append(read.sentinels[number])
        ends = [tokenizer.eos_token_id, *read.sentinels[number + 1 : number + 2]]
        made = model.generate(
            input_ids=torch.tensor([read.ids]),
            decoder_input_ids=torch.tensor([decoded]),
            eos_token_id=ends,
            begin_suppress_tokens=ends,
            suppress_tokens=sorted(never - set(ends)),
            **how,
        )
        filling = [i for i in made[0].tolist()[len(decoded) :] if i not in ends and i not in special]
        decoded += filling
        fillings.append(str(tokenizer.decode(filling)).strip())
    return fillings
