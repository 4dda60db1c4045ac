"""The card of a tokenizer."""

from __future__ import annotations

from corpora.documents.groups import source_of
from corpora.manifest import Manifest
from tamiz.cards.markdown import front_matter, sources_text, table


def tokenizer_card(content: Manifest) -> str:
    """The text of README.md. content: the manifest of a finished tokenizer. Equal tokenizers give equal texts."""
    facts, settings = content.facts, content.made_from.settings
    return "\n".join(
        [
            front_matter({"library_name": "transformers", "tags": ["tamiz"]}),
            f"# A tokenizer of {facts['vocab_size']:,} ids\n",
            f"Kind {facts['kind']}, trained with tamiz.\n",
            _USE,
            "## Training\n\n" + table(_rows(content)),
            "## Settings\n\n" + table(settings.items(), ("key", "value")),
            "## Licence\n\nNot stated.\n",
        ]
    )


_USE = """## Use

```python
from transformers import AutoTokenizer

folder = "."  # or the tokenizer's name on the Hub
tokenizer = AutoTokenizer.from_pretrained(folder)
print(tokenizer.tokenize("uno, dos, tres"))
```
"""


def _rows(content: Manifest) -> list[tuple[str, str]]:
    facts = content.facts
    sources = list(dict.fromkeys(source_of(one.name) for one in content.made_from.inputs))
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
