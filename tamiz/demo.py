"""What the demo shows at its end: the kept share of each class of documents, what the model has learned, and a masked
span that it fills."""

from __future__ import annotations

import glob
import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from tamiz.console import say, table
from tamiz.recipes.load import DEMO
from tamiz.recipes.schema import Recipe

GOOD = "good"
SIZES = (
    ("tokenizer", "vocab_size"),
    ("shards", "sequence_length"),
    *(("model", key) for key in ("num_layers", "num_decoder_layers", "d_model", "d_ff", "d_kv", "num_heads")),
    ("train", "batch_size"),
    ("train", "steps"),
)
SENTENCE = "La panadera abre la tienda <extra_id_0> de la mañana."


def document_class(url: str | None) -> str:
    """The class in a URL of the demo: https://demo.invalid/CLASS/NUMBER."""
    return urlsplit(url or "").path.strip("/").split("/")[0]


def _classes(pattern: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in work_items([pattern]):
        for batch in read_batches(item):
            found.update(document_class(url) for url in batch.urls)
    return found


def kept_by_class(folder: Path) -> list[tuple[str, int, int]]:
    """(class, documents, kept) for each class, `good` first."""
    read, kept = _classes(str(DEMO / "documents.jsonl")), _classes(f"{glob.escape(str(folder / 'sampled'))}/part-*")
    return [(name, read[name], kept[name]) for name in sorted(read, key=lambda n: (n != GOOD, n))]


def show_classes(folder: Path) -> None:
    rows = kept_by_class(folder)
    bad = [r for r in rows if r[0] != GOOD]
    rows.append(("all the bad", sum(r[1] for r in bad), sum(r[2] for r in bad)))
    rows.append(("all", sum(r[1] for r in rows[:-1]), sum(r[2] for r in rows[:-1])))
    shown = [(name, read, kept, f"{kept / read:.0%}") for name, read, kept in rows]
    table("What the sieve kept", ("class", "documents", "kept", "share"), shown)


def show_model(model: Path, demo: Recipe, full: Recipe) -> None:
    """Says what is smaller than in the full recipe, compares the loss with that of frequencies, and fills a span."""
    from tamiz.trainer.generation import generate

    metrics = json.loads((model / "metrics.json").read_bytes())
    say(f"reduced for the demo, to {metrics['parameters']:,} parameters: {reduced(demo, full)}")
    for line in learned(metrics["validation_loss"], metrics["target_unigram_entropy_nats"]):
        say(line)
    say(f"masked: {SENTENCE}")
    say(f"filled: {generate(model, SENTENCE)}   (expect no sense from so small a model and so little text)")


def reduced(demo: Recipe, full: Recipe) -> str:
    """The sizes of the demo that differ from the full recipe's: `key full -> demo`."""
    both = [(key, *(getattr(getattr(r, section), key, None) for r in (full, demo))) for section, key in SIZES]
    return ", ".join(
        f"{key} {large:,} -> {small:,}" for key, large, small in both if large and small not in (None, large)
    )


def learned(loss: float | None, entropy: float | None) -> list[str]:
    """What a validation loss means beside the entropy of the training targets' unigrams; empty if one is unknown."""
    if loss is None or entropy is None:
        return []
    below = "below: it learned more than frequencies" if loss < entropy else "not below: too few steps or documents"
    return [
        f"validation loss: {loss:.3f} nats; entropy of the training targets' unigrams: {entropy:.3f} ({below})",
        "  (the entropy is counted on the training rows; on the validation rows, frequencies alone would do worse)",
    ]
