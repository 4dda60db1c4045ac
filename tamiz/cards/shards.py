"""The card of training shards."""

from __future__ import annotations

from pathlib import Path

from corpora.manifest import Manifest
from tamiz.cards import allowed, configs
from tamiz.cards.front_matter import front_matter
from tamiz.cards.loading import rows_lines
from tamiz.cards.markdown import section, table
from tamiz.cards.texts import NOT_STATED

_LAYOUT = (
    "Each row is one training example of fixed size, as ids of the tokenizer with the sha256 below. Row groups are "
    "small (about 262,144 ids), as training reads them in another order; `manifest.json` says what every column "
    "holds and accounts for every id.\n"
)


def shards_card(_folder: Path, content: Manifest) -> str:
    rows = sum(content.facts["rows"].values())
    parts = [
        front_matter(
            {
                "pretty_name": "Training rows",
                "size_categories": [allowed.size_name(rows)],
                "task_categories": ["text-generation"],
                "tags": ["tamiz", "tokenized"],
                "configs": [configs.of_shards(content)],
            }
        ),
        f"# {rows:,} training rows for {content.facts['objective']}\n",
        _LAYOUT,
        section("Use", rows_lines()),
        section("Rows", shards_table(content)),
        section("Licence", NOT_STATED),
    ]
    return "\n".join(part for part in parts if part)


def shards_table(content: Manifest) -> str:
    facts = content.facts
    named = ("objective", "packing", "sequence_length", "label_length", "vocab_size", "separator", "sentinels")
    account = facts.get("account") or {}
    return table(
        [
            *((f"rows, {split}", f"{rows:,}") for split, rows in facts["rows"].items()),
            *((f"documents, {split}", f"{one['documents']:,}") for split, one in account.items()),
            *((f"ids of text, {split}", f"{one['ids']:,}") for split, one in account.items()),
            *((name.replace("_", " "), f"{facts[name]}") for name in named if facts.get(name) is not None),
            ("sha256 of the tokenizer", facts["tokenizer_sha256"]),
            ("fingerprint", content.fingerprint),
        ]
    )
