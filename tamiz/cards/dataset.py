"""The card of a sample. Its front matter also tells `load_dataset` which files hold the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from corpora.config import Config
from corpora.documents.groups import source_of
from corpora.home import Place
from corpora.manifest import Manifest
from tamiz.cards import allowed, configs, plots, texts
from tamiz.cards.examples import examples
from tamiz.cards.front_matter import front_matter
from tamiz.cards.loading import dataset_lines
from tamiz.cards.markdown import MOST_SOURCES, add_card, section, sources_text, table

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
    licence: str = ""
    """Stated by whoever publishes the sample. Empty: not stated; nothing is assumed."""
    sources: tuple[str, ...] = ()
    """Where the documents come from, in words. Empty: the names of the input files."""
    source_datasets: tuple[str, ...] = ()
    """The datasets of the Hub among them, as OWNER/NAME."""
    sampler: str = ""
    """The sampler's curve, in words."""
    language_model: str = ""
    """The model that scored the documents, in words."""


def add_dataset_card(folder: Place, content: Manifest, facts: DatasetFacts) -> None:
    """Writes the card and the plot of a finished sample, unless it has a card."""
    drawn = {plots.PERPLEXITY: lambda path: plots.draw_perplexity(content.facts, path)} if _has_plot(content) else {}
    add_card(folder, content, lambda: dataset_card(content, facts, examples(folder, content)), drawn)


def dataset_card(content: Manifest, facts: DatasetFacts, shown: str = "") -> str:
    """The text of README.md. content: the finished sample's manifest; shown: example rows. Equal samples give equal
    texts."""
    data_files = f"part-*.{content.made_from.settings.get('format', 'parquet')}"
    parts = [
        _front(content, facts),
        f"# {facts.title}\n",
        texts.SIEVED.format(**_numbers(content)),
        section("Use", dataset_lines(data_files)),
        section("Columns", table(_columns(content), ("column", "content"))),
        section("Examples", shown),
        section("Documents", table(_documents(content, facts))),
        section("Sampling", *sampling_parts(content, facts)),
        section("Sources", table(_sources(content), ("source", "documents read", "kept", "kept share"))),
        section("Limits", texts.SAMPLE_LIMITS),
        section("Licence", texts.licence(facts.licence, facts.source_datasets)),
    ]
    return "\n".join(part for part in parts if part)


def _front(content: Manifest, facts: DatasetFacts) -> str:
    """The metadata: what datasetcard.md of the Hub's documentation asks for, as far as it is known."""
    languages = facts.languages
    return front_matter(
        {
            "pretty_name": facts.title,
            "language": languages,
            "license": facts.licence,
            "multilinguality": ["multilingual" if len(languages) > 1 else "monolingual"] if languages else None,
            "size_categories": [allowed.size_name(content.counts["kept"])],
            "source_datasets": facts.source_datasets,
            "task_categories": ["text-generation", "fill-mask"],
            "annotations_creators": ["no-annotation"],
            "language_creators": ["found"],
            "tags": ["tamiz", "perplexity-sampling"],
            "configs": [configs.of_sample(content)],
        }
    )


def _has_plot(content: Manifest) -> bool:
    """Samples of older versions don't have the histograms."""
    return any(sum(both["before"]["counts"]) for both in content.facts.get("perplexities", {}).values())


def _numbers(content: Manifest) -> dict[str, str]:
    counts = content.counts
    documents = counts["kept"] + counts["sampled_out"]
    share = f"{counts['kept'] / documents:.1%}" if documents else "0%"
    return {"kept": f"{counts['kept']:,}", "documents": f"{documents:,}", "share": share}


def _columns(content: Manifest) -> list[tuple[str, str]]:
    """The columns of every sample, those that the method adds, and those carried over from the inputs."""
    bucket = [("bucket", "of the perplexity")] if content.made_from.settings.get("method") == "buckets" else []
    columns = content.facts.get("columns", {})
    carried = [(name, "as in the source, or null") for name in columns.get("carried", [])]
    others = [("all other fields", "as in the source")] if columns.get("other_fields") else []
    return [*_COLUMNS.items(), *bucket, *carried, *others]


def _documents(content: Manifest, facts: DatasetFacts) -> list[tuple[str, str]]:
    counts = content.counts
    names = facts.sources or tuple(dict.fromkeys(source_of(one.name) for one in content.made_from.inputs))
    dropped = content.facts.get("annotations", [])
    return [
        ("source", sources_text(names)),
        ("rows read", f"{counts['read']:,}"),
        ("documents kept", f"{counts['kept']:,}"),
        ("documents sampled out", f"{counts['sampled_out']:,}"),
        *((f"of these, dropped by {one['annotator']}", f"{one['dropped']:,}") for one in dropped),
        *((f"rows rejected: {reason}", f"{number:,}") for reason, number in counts["rejected"].items()),
    ]


def sampling_parts(content: Manifest, facts: DatasetFacts, where: str = "") -> list[str]:
    """How the documents were drawn: in words, as a plot, and in tables. where: the sample's folder, ending with /."""
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
    plot = texts.PERPLEXITY_PLOT.format(name=where + plots.PERPLEXITY) if _has_plot(content) else ""
    words = texts.method(str(settings.get("method", "")), str(settings.get("per", "")))
    known = [(name, value) for name, value in rows if value]
    return [words + "\n", plot and plot + "\n", table(known) + "\n", _quartiles(found)]


def _quartiles(found: Mapping[str, Any]) -> str:
    """How much of each quartile of the perplexity was kept. Bounds are missing where groups have their own."""
    if not found.get("kept_shares"):
        return ""
    ranges = perplexity_ranges(found.get("quartiles")) or ["–"] * len(found["kept_shares"])
    shares = zip(ranges, found["kept_shares"], found["composition"], strict=True)
    rows = [(n, name, f"{kept:.4f}", f"{part:.4f}") for n, (name, kept, part) in enumerate(shares, 1)]
    return table(rows, ("quartile", "perplexity", "kept share", "share of the sample"))


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
