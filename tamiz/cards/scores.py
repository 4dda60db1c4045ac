"""The card of scores: perplexities of documents, without their texts."""

from __future__ import annotations

from pathlib import Path

from corpora.documents.groups import source_of
from corpora.manifest import Manifest
from tamiz.cards import allowed, configs
from tamiz.cards.front_matter import front_matter
from tamiz.cards.loading import rows_lines
from tamiz.cards.markdown import section, sources_text, table

_COLUMNS = (
    ("row", "the document's number in its file"),
    ("perplexity", "of the document, by the language model; null where the row was rejected"),
    ("num_tokens", "tokens of the language model, plus one for each line"),
    ("language", "of the document, or null"),
)
_ALIGNED = (
    "One row for each row of the input, in its order, one file for each input file. The texts are not here: join "
    "them by file and row.\n"
)


def scores_card(_folder: Path, content: Manifest) -> str:
    counts = content.counts
    names = list(dict.fromkeys(source_of(one.name) for one in content.made_from.inputs))
    rows = [
        ("documents of", sources_text(names)),
        ("rows", f"{counts['read']:,}"),
        ("scored", f"{counts['kept']:,}"),
        *((f"rows rejected: {reason}", f"{number:,}") for reason, number in counts["rejected"].items()),
        ("fingerprint", content.fingerprint),
    ]
    parts = [
        front_matter(
            {
                "pretty_name": "Perplexities of documents",
                "size_categories": [allowed.size_name(counts["read"])],
                "annotations_creators": ["machine-generated"],
                "tags": ["tamiz", "perplexity"],
                "configs": [configs.of_scores()],
            }
        ),
        "# Perplexities of documents\n",
        _ALIGNED,
        section("Use", rows_lines()),
        section("Columns", table(_COLUMNS, ("column", "content"))),
        section("Rows", table(rows)),
    ]
    return "\n".join(parts)
