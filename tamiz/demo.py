"""What the demo shows at its end: the kept share of each class of documents, and a masked span that is filled."""

from __future__ import annotations

import glob
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from tamiz.console import say, table
from tamiz.recipes.load import DEMO

GOOD = "good"
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


def show_filled_span(model: Path) -> None:
    from tamiz.trainer.generation import generate

    say(f"masked: {SENTENCE}")
    say(f"filled: {generate(model, SENTENCE)}   (seven million parameters, a minute of training: expect little)")
