"""Every figure of `tamiz tokenizer eval`, counted plainly: document by document, word by word, id by id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corpora.encoding import Encoder


def slow_figures(
    encoder: Encoder,
    texts: list[str],
    *,
    prefix: str,
    normalise: Callable[[str], str],
    auto: Any = None,
    special: list[str] | None = None,
) -> dict[str, Any]:
    """auto: a transformers tokenizer that stands beside another engine. special: strings that it takes for ids."""
    ids = [encoder.encode_batch([text])[0].tolist() for text in texts]
    flat = [number for of_text in ids for number in of_text]
    words = [word for text in texts for word in text.split()]
    cut = [word for word in words if len(encoder.encode_batch([prefix + word])[0]) > 1]
    decoded = [encoder.decode(of_text) for of_text in ids]
    unknown = None if encoder.unk_id is None else flat.count(encoder.unk_id)
    characters, size = sum(len(t) for t in texts), sum(len(t.encode()) for t in texts)
    return {
        "documents": len(texts),
        "bytes": size,
        "characters": characters,
        "unspaced_characters": sum(is_unspaced(c) for t in texts for c in t),
        "words": len(words),
        "tokens": len(flat),
        "unknown": unknown,
        "continued_words": len(cut),
        "ids_used": len(set(flat)),
        "fertility": len(flat) / len(words),
        "bytes_per_token": size / len(flat),
        "tokens_per_1000_characters": 1000 * len(flat) / characters,
        "unknown_rate": None if unknown is None else unknown / len(flat),
        "continued_word_share": len(cut) / len(words),
        "vocabulary_use": len(set(flat)) / encoder.vocab_size,
        "round_trip": {
            "differs_from_normalised": sum(d != normalise(t) for d, t in zip(decoded, texts, strict=True)),
            "differs_from_raw": sum(d != t for d, t in zip(decoded, texts, strict=True)),
        },
        "auto_tokenizer": auto and compare(auto, texts, ids, special or []),
    }


def compare(auto: Any, texts: list[str], ids: list[list[int]], special: list[str]) -> dict[str, int]:
    plain = [n for n, text in enumerate(texts) if not any(s in text for s in special)]
    differs = sum(auto(texts[n], add_special_tokens=False)["input_ids"] != ids[n] for n in plain)
    return {"compared": len(plain), "differs": differs, "special": len(texts) - len(plain), "too_long": 0}


def is_unspaced(character: str) -> bool:
    """Of a script that parts no words by spaces."""
    code = ord(character)
    ranges = ((0xE00, 0xFFF), (0x1000, 0x10BF), (0x1780, 0x17FF), (0x3000, 0x9FFF), (0x20000, 0x33FFF))
    return any(first <= code <= last for first, last in ranges)
