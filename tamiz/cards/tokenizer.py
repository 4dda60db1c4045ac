"""The card of a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpora.documents.groups import source_of
from corpora.home import Place
from corpora.manifest import Manifest
from tamiz.cards import plots, texts
from tamiz.cards.front_matter import front_matter
from tamiz.cards.markdown import add_card, section, sources_text, table


def add_tokenizer_card(
    folder: Place, content: Manifest, languages: tuple[str, ...] = (), sources: tuple[str, ...] = ()
) -> None:
    """Writes the card and the plot of a finished tokenizer, unless it has a card."""
    words = _evaluation(content).get("tokens_of_words", [])
    drawn = {plots.WORDS: lambda path: plots.draw_words(words, path)} if sum(words) else {}
    add_card(folder, content, lambda: tokenizer_card(content, languages, sources), drawn)


def tokenizer_card(content: Manifest, languages: tuple[str, ...] = (), sources: tuple[str, ...] = ()) -> str:
    """The text of README.md. content: the manifest of a finished tokenizer; languages: codes of its text; sources:
    where it comes from, in words (empty: the names of the input files). Equal tokenizers give equal texts."""
    facts, settings = content.facts, content.made_from.settings
    evaluated = _evaluation(content)
    parts = [
        front_matter({"language": languages, "library_name": "transformers", "tags": ["tamiz", "tokenizer"]}),
        f"# A tokenizer of {facts['vocab_size']:,} ids\n",
        f"Kind {facts['kind']}, trained with tamiz.\n",
        _USE,
        section("Evaluation", _evaluated(evaluated)),
        section("Training", table(_rows(content, sources))),
        section("Settings", table(settings.items(), ("key", "value"))),
        section("Limits", texts.TOKENIZER_LIMITS if evaluated else ""),
        section("Licence", "Not stated."),
    ]
    return "\n".join(part for part in parts if part)


_USE = """## Use

```python
from transformers import AutoTokenizer

folder = "."  # or the tokenizer's name on the Hub
tokenizer = AutoTokenizer.from_pretrained(folder)
print(tokenizer.tokenize("uno, dos, tres"))
```
"""

# key of the evaluation, name, format
_FIGURES = (
    ("fertility", "tokens per word (fertility)", "{:.3f}"),
    ("continued_word_share", "words with more than one token", "{:.1%}"),
    ("bytes_per_token", "bytes per token", "{:.3f}"),
    ("tokens_per_1000_characters", "tokens per 1,000 characters", "{:,.0f}"),
    ("unknown_rate", "tokens that are unknown", "{:.4%}"),
    ("vocabulary_use", "ids that occur", "{:.1%}"),
)
UNSPACED = 0.25  # above this share of characters in scripts without spaces, counts of words mean little


def _evaluation(content: Manifest) -> Mapping[str, Any]:
    """Empty for tokenizers of older versions, and for those that learned from no text."""
    found: Mapping[str, Any] = content.facts.get("evaluation", {})
    return found if found.get("documents") else {}


def _evaluated(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    spaced = found["unspaced_characters"] <= UNSPACED * found["characters"]
    rows = [("documents", f"{found['documents']:,}"), ("bytes", f"{found['bytes']:,}")]
    for key, name, said in _FIGURES:
        if found[key] is not None and (spaced or "word" not in key):
            rows.append((name, said.format(found[key])))
    rows.append(("documents that decode to other text", f"{found['round_trip']['differs_from_normalised']:,}"))
    plot = (
        f"\n![Words by their number of tokens]({plots.WORDS})\n" if spaced and sum(found["tokens_of_words"]) else ""
    )
    return "On some of the documents that it learned from:\n\n" + table(rows) + plot


def _rows(content: Manifest, sources: tuple[str, ...]) -> list[tuple[str, str]]:
    facts = content.facts
    sources = sources or tuple(dict.fromkeys(source_of(one.name) for one in content.made_from.inputs))
    rows = [
        ("source", sources_text(sources)),
        ("ids", f"{facts['vocab_size']:,}"),
        ("documents it learned from", f"{facts.get('documents', 0):,}"),
        ("fingerprint", content.fingerprint),
    ]
    checked = facts.get("self_check")
    if checked:
        rows.append(("documents that AutoTokenizer encodes differently", f"{checked['different']:,} of "
                     f"{checked['documents']:,}"))  # fmt: skip
    return rows
