"""The card of a finished folder, whatever stage filled it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from corpora import manifest
from corpora.documents.groups import UNKNOWN
from corpora.errors import DamagedFile
from corpora.manifest import Manifest
from tamiz.cards.dataset import DatasetFacts, dataset_card
from tamiz.cards.examples import examples
from tamiz.cards.front_matter import front_matter
from tamiz.cards.markdown import NAME, section, table
from tamiz.cards.run import run_card
from tamiz.cards.scores import scores_card
from tamiz.cards.shards import shards_card
from tamiz.cards.tokenizer import tokenizer_card


def card_of(folder: Path) -> str:
    content = manifest.read(folder)
    if not content.finished:
        raise DamagedFile(f"{folder} is unfinished: run its command again before it is published")
    if (folder / NAME).is_file():
        return (folder / NAME).read_text(encoding="utf-8", errors="replace")
    return _CARDS.get(content.stage, _plain_card)(folder, content)


def _sample_card(folder: Path, content: Manifest) -> str:
    by_language = content.facts.get("per") == "language"
    languages = [name for name in content.facts.get("groups", {}) if by_language and name != UNKNOWN]
    return dataset_card(content, DatasetFacts(languages=tuple(languages)), examples(folder, content))


def _plain_card(_folder: Path, content: Manifest) -> str:
    """Of stages whose folders people seldom publish: counts, settings and files."""
    rows = [("rows read", f"{content.counts.get('read', 0):,}"), ("fingerprint", content.fingerprint)]
    settings = content.made_from.settings.items()
    return "\n".join(
        [
            front_matter({"tags": ["tamiz"]}),
            f"# Output of `tamiz {content.stage}`\n",
            table(rows),
            section("Settings", table(settings, ("key", "value")) if settings else ""),
            section("Files", table([(r.path, f"{r.bytes:,}") for r in content.files[:50]], ("file", "bytes"))),
        ]
    )


_CARDS: dict[str, Callable[[Path, Manifest], str]] = {
    "run": run_card,
    "sample": _sample_card,
    "score": scores_card,
    "shards": shards_card,
    "tokenizer": lambda _, content: tokenizer_card(content),
}
