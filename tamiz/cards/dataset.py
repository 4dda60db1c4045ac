"""The card of a sample. Its front matter also tells `load_dataset` which files hold the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from corpora.config import Config
from corpora.documents.groups import source_of
from corpora.manifest import Manifest
from tamiz.cards.markdown import MOST_SOURCES, front_matter, sources_text, table

# the Hub's categories of size: documents below -> name
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
          (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"))  # fmt: skip
_COLUMNS = {
    "text": "the document",
    "timestamp": "as in the source, or null",
    "url": "as in the source, or null",
    "perplexity": "of the document, by the language model",
    "keep_probability": "with which the document was drawn",
}


class DatasetFacts(Config, frozen=True, kw_only=True):
    """Facts for the card that the sample's manifest doesn't have. All are optional."""

    title: str = "Documents sampled by perplexity"
    """The heading."""
    languages: tuple[str, ...] = ()
    """ISO 639 codes of the documents."""
    sources: tuple[str, ...] = ()
    """Where the documents come from, in words. Empty: the names of the input files."""
    sampler: str = ""
    """The sampler's curve, in words."""
    language_model: str = ""
    """The model that scored the documents, in words."""


def dataset_card(content: Manifest, facts: DatasetFacts) -> str:
    """The text of README.md. content: the finished sample's manifest. Equal samples give equal texts."""
    data_files = f"part-*.{content.made_from.settings.get('format', 'parquet')}"
    front = {
        "language": facts.languages,
        "size_categories": [_size(content.counts["kept"])],
        "tags": ["tamiz"],
        "configs": [{"config_name": "default", "data_files": data_files}],
    }
    parts = [
        front_matter(front),
        f"# {facts.title}\n",
        "Documents drawn by their perplexity under a language model, by tamiz.\n",
        _use(data_files),
        "## Columns\n\n" + table(_columns(content), ("column", "content")),
        "## Documents\n\n" + table(_documents(content, facts)),
        "## Sampling\n\n" + table(_sampling(content, facts)) + _quartiles(content.facts),
        "## Sources\n\n" + table(_sources(content), ("source", "documents read", "kept", "kept share")),
        "## Licence\n\nNot stated: the documents are under the licences of their sources. Their texts are unchanged, "
        "and may contain personal data.\n",
    ]
    return "\n".join(parts)


def _columns(content: Manifest) -> list[tuple[str, str]]:
    """The columns of every sample, those that the method adds, and those carried over from the inputs."""
    bucket = [("bucket", "of the perplexity")] if content.made_from.settings.get("method") == "buckets" else []
    columns = content.facts.get("columns", {})
    carried = [(name, "as in the source, or null") for name in columns.get("carried", [])]
    others = [("all other fields", "as in the source")] if columns.get("other_fields") else []
    return [*_COLUMNS.items(), *bucket, *carried, *others]


def _use(data_files: str) -> str:
    """Lines that run in the sample's folder."""
    builder = "parquet" if data_files.endswith(".parquet") else "json"
    return f"""## Use

```python
from datasets import load_dataset

# in this folder; from anywhere: load_dataset("/path/to/it"), or its name on the Hub
documents = load_dataset("{builder}", data_files="{data_files}", split="train")
print(documents[0]["text"])
```
"""


def _size(documents: int) -> str:
    return next((name for bound, name in _SIZES if documents < bound), "100B<n<1T")


def _documents(content: Manifest, facts: DatasetFacts) -> list[tuple[str, str]]:
    counts = content.counts
    names = facts.sources or tuple(dict.fromkeys(source_of(one.name) for one in content.made_from.inputs))
    return [
        ("source", sources_text(names)),
        ("rows read", f"{counts['read']:,}"),
        ("documents kept", f"{counts['kept']:,}"),
        ("documents sampled out", f"{counts['sampled_out']:,}"),
        *((f"rows rejected: {reason}", f"{number:,}") for reason, number in counts["rejected"].items()),
    ]


def _sampling(content: Manifest, facts: DatasetFacts) -> list[tuple[str, str]]:
    settings, found = content.made_from.settings, content.facts
    rows = [
        ("language model", facts.language_model),
        ("method", str(settings.get("method", ""))),
        ("keep probability", facts.sampler),
        ("kept share, expected", f"{found['expected_share']:.4g}" if "expected_share" in found else ""),
        ("seed", str(settings.get("seed", ""))),
        ("fingerprint of the scores", str(settings.get("scores", ""))),
        ("fingerprint of the sample", content.fingerprint),
    ]
    return [(name, value) for name, value in rows if value]


def _quartiles(found: Mapping[str, Any]) -> str:
    """How much of each quartile of the perplexity was kept. Bounds are missing where groups have their own."""
    if not found.get("kept_shares"):
        return ""
    ranges = perplexity_ranges(found.get("quartiles")) or ["–"] * len(found["kept_shares"])
    shares = zip(ranges, found["kept_shares"], found["composition"], strict=True)
    rows = [(n, name, f"{kept:.4f}", f"{part:.4f}") for n, (name, kept, part) in enumerate(shares, 1)]
    return "\n" + table(rows, ("quartile", "perplexity", "kept share", "share of the sample"))


def perplexity_ranges(borders: Sequence[float] | None) -> list[str]:
    """`below 210`, `210 to 340`, ..., `from 520`; empty if the borders aren't known."""
    if not borders:
        return []
    values = [f"{value:,.4g}" for value in borders]
    return [f"below {values[0]}", *(f"{a} to {b}" for a, b in pairwise(values)), f"from {values[-1]}"]


def _sources(content: Manifest) -> list[tuple[str, str, str, str]]:
    """The sources, the largest first: those that the sample counted, else those of the file names."""
    read: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    counted = content.facts.get("sources", {})
    for name, one in counted.items():
        read[name], kept[name] = one["documents"], one["kept"]
    for item in content.items if not counted else ():
        name = source_of(str(item["name"]))
        read[name] += item.get("read", 0)
        kept[name] += item.get("kept", 0)
    largest = sorted(read, key=lambda name: (-read[name], name))
    rows = [(n, f"{read[n]:,}", f"{kept[n]:,}", f"{kept[n] / read[n]:.4f}" if read[n] else "–") for n in largest]
    left_out = len(rows) - MOST_SOURCES
    return [*rows[:MOST_SOURCES], *([("…", f"{left_out:,} more sources", "", "")] if left_out > 0 else [])]
