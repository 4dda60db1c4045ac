"""What a demo shows at its end: the kept share of each class of documents, what is smaller than in the full recipe,
what the model has learned, and a text that it writes."""

from __future__ import annotations

import glob
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.documents.sources import DocumentSource
from tamiz.console import say, table
from tamiz.recipes.schema import DEMO_PREFIX, Recipe
from tamiz.stages.described import languages_of

GOOD = "good"
NO_CLASS = "without a url"
_WIDTHS = (
    *("d_model", "hidden_size", "hidden_dim", "d_ff", "intermediate_size", "intermediate_dim"),
    *("d_kv", "key_value_dim", "num_heads", "rotary_dim"),
)
SIZES = (
    ("tokenizer", "vocab_size"),
    ("tokenizer", "file"),
    ("shards", "sequence_length"),
    *(("model", key) for key in ("vocab_size", "num_layers", "num_decoder_layers", *_WIDTHS)),
    ("train", "init"),
    ("train", "batch_size"),
    ("train", "steps"),
    ("export", "to"),
)
# a sentence of each language, parted where a span is masked or a text is continued
SENTENCES = {
    "es": ("La panadera abre la tienda ", " de la mañana."),
    "pt": ("A padeira abre a loja ", " da manhã."),
    "en": ("The baker opens the shop ", " in the morning."),
    "ko": ("제빵사는 아침 ", " 가게 문을 엽니다."),
    "zh": ("面包师每天早上", "打开店门。"),
    "ja": ("パン屋は毎朝", "店を開けます。"),
}
SPAN = "<extra_id_0>"


def is_bundled(recipe: Recipe) -> bool:
    """Whether all documents are those of a demo, whose urls name their classes."""
    patterns = [pattern for source in recipe.documents for pattern in source.patterns]
    return all(pattern.startswith(DEMO_PREFIX) for pattern in patterns)


def document_class(url: str | None) -> str:
    """The class in a URL of the demo: https://demo.invalid/CLASS/NUMBER."""
    return urlsplit(url or "").path.strip("/").split("/")[0] or NO_CLASS


def _classes(inputs: Iterable[DocumentSource]) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in work_items(list(inputs)):
        for batch in read_batches(item):
            found.update(document_class(url) for url in batch.urls)
    return found


def kept_by_class(folder: Path, recipe: Recipe) -> list[tuple[str, int, int]]:
    """(class, documents, kept) for each class, `good` first."""
    parts = DocumentSource(input=f"{glob.escape(str(folder / 'sampled'))}/part-*")
    read, kept = _classes(recipe.inputs), _classes([parts])
    return [(name, read[name], kept[name]) for name in sorted(read, key=lambda n: (n != GOOD, n))]


def show_classes(folder: Path, recipe: Recipe) -> None:
    """A table of the classes of the demo's documents, and how many of each the sieve kept."""
    rows = kept_by_class(folder, recipe)
    bad = [r for r in rows if r[0] not in (GOOD, NO_CLASS)]
    rows.append(("all the bad", sum(r[1] for r in bad), sum(r[2] for r in bad)))
    rows.append(("all", sum(r[1] for r in rows[:-1]), sum(r[2] for r in rows[:-1])))
    shown = [(name, read, kept, f"{kept / read:.0%}") for name, read, kept in rows]
    table("What the sieve kept", ("class", "documents", "kept", "share"), shown)


def show_model(model: Path, demo: Recipe, full: Recipe) -> None:
    """Says what is smaller than in the full recipe, compares the loss with that of frequencies, and lets the model
    write."""
    from tamiz.trainer.generation import generate

    metrics = json.loads((model / "metrics.json").read_bytes())
    say(f"reduced for the demo, to {metrics['parameters']:,} parameters: {reduced(demo, full)}")
    for line in learned(metrics["validation_loss"], metrics["target_unigram_entropy_nats"]):
        say(line)
    given, names = prompt(demo)
    say(f"loaded by transformers' {demo.model.auto_class}")
    say(f"{names[0]}: {given}")
    say(f"{names[1]}: {generate(model, given)}   (expect no sense from so small a model and so little text)")


def prompt(recipe: Recipe) -> tuple[str, tuple[str, str]]:
    """A text in the recipe's first language for its model to fill or continue, and what to call both texts."""
    known = [language for language in languages_of(recipe) if language in SENTENCES]
    before, after = SENTENCES[known[0] if known else "en"]
    if recipe.model.pipeline_tag == "text-generation":
        return before.rstrip(), ("begun", "continued")
    return f"{before}{SPAN}{after}", ("masked", "filled")


def reduced(demo: Recipe, full: Recipe) -> str:
    """What is smaller in the demo, or left out, than in the full recipe: `section.key full -> demo`."""
    found = []
    for section, key in SIZES:
        large, small = (getattr(r.sections.get(section), key, None) for r in (full, demo))
        if large and small != large:
            found.append(f"{section}.{key} {_shown(large)} -> {_shown(small)}")
    return ", ".join(found)


def _shown(value: int | str | tuple[str, ...] | None) -> str:
    if isinstance(value, tuple):
        return "+".join(value)
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else value


def learned(loss: float | None, entropy: float | None) -> list[str]:
    """What a validation loss means beside the entropy of the training targets' unigrams; empty if one is unknown."""
    if loss is None or entropy is None:
        return []
    below = "below: it learned more than frequencies" if loss < entropy else "not below: too few steps or documents"
    return [
        f"validation loss: {loss:.3f} nats; entropy of the training targets' unigrams: {entropy:.3f} ({below})",
        "  (the entropy is counted on the training rows; on the validation rows, frequencies alone would do worse)",
    ]
