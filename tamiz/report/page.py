"""Writes the page: one self-contained HTML file, with its plots embedded and also next to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from corpora import files, manifest
from corpora.errors import DamagedFile
from corpora.home import Home, Place
from corpora.locks import locked
from tamiz.console import progress, warn
from tamiz.report import documents, origin, planned, stages
from tamiz.report.figures import Figure, length_figures, perplexity_figures, unit_of
from tamiz.report.folders import Scored, find
from tamiz.report.group_plots import Named
from tamiz.report.groups import groups_table, named_groups
from tamiz.report.html import document, escaped, facts, figure, link
from tamiz.report.nearest import DOCUMENTS, Decile, deciles, fill
from tamiz.report.rows import ItemRows, item_rows
from tamiz.report.sources import sources_table
from tamiz.report.summary import Summary, summarise
from tamiz.report.texts import ReadBack, Update, read_back
from tamiz.report.values import percent

MOST_LANGUAGES = 8  # for the documents nearest the deciles
INDEX = "report/index.html"


@dataclass(frozen=True)
class PageContent:
    """Everything that the page shows."""

    scored: Scored
    summary: Summary
    named: list[Named]
    perplexity: list[Figure]
    length: list[Figure]
    deciles: list[Decile]
    texts: ReadBack

    @property
    def unit(self) -> str:
        return unit_of(self.scored)


def write_report(
    folder: Place, *, scores: Place | None = None, inputs: Sequence[str] = (), remote: bool = False
) -> str:
    """Writes <folder>/report/ (index.html and the plots) and lists these files in the folder's manifest;
    returns where the page is.

    folder: the output of `tamiz run`, `tamiz score` or `tamiz sample`. scores, inputs: what it was made from, if that
    can't be found. remote: whether to read inputs that aren't local files in order to show documents.

    Raises:
        DamagedFile: the scores aren't finished, or no document is scored.
        BadArgument: the scores can't be found.
        StaleOutput: the sample wasn't drawn from these scores.
    """
    scored = find(folder, scores, inputs)
    with locked(folder, "report"):
        if scored.home.is_local:
            for each in (scored.home.folder, scored.home.folder / "report"):
                files.remove_temporary(each)  # of a run that was killed while it drew
        return _write(scored, remote)


def _write(scored: Scored, remote: bool) -> str:
    with progress("scores") as update:
        summary = summarise(_counted(item_rows(scored), len(scored.items), update))
    if not summary.groups:
        raise DamagedFile(f"{scored.scores} has no scored document: nothing to report")
    named = named_groups(summary, scored)
    chosen, texts = _read_documents(scored, summary, remote=remote)
    with scored.home.filled() as folder:
        perplexity = perplexity_figures(summary, named, folder / "report")
        length = length_figures(summary, unit_of(scored), folder / "report")
        content = PageContent(scored, summary, named, perplexity, length, chosen, texts)
        files.write_bytes(folder / INDEX, _page(content).encode())
        made = [folder / INDEX, *(figure.path for figure in (*perplexity, *length))]
        records = [manifest.record(folder, path) for path in made]
    manifest.add_derived(scored.home, records)
    return scored.home.at(INDEX)


def is_written(run: Place) -> bool:
    """Whether the manifest lists the page, and the page covers exactly the existing stages."""
    home = Home.of(run)
    if INDEX not in {r.path for r in manifest.read(home).derived} or not home.exists(INDEX):
        return False
    text = home.read_bytes(INDEX).decode()
    return all(manifest.read(each).fingerprint in text for each in stages.homes(home).values())


def _read_documents(scored: Scored, summary: Summary, *, remote: bool) -> tuple[list[Decile], ReadBack]:
    """The documents nearest the deciles, with their texts. Warns, once, if none of them can be read."""
    if not scored.inputs:
        warn("the page shows no documents, because their files are unknown: name them with --input PATTERN")
        return [], ReadBack({}, [])
    chosen = _deciles(scored, summary)
    with progress("documents") as update:
        picks = [pick for decile in chosen for pick in decile.picks]
        texts = read_back(scored, picks, remote=remote, progress=update)
    if not texts.documents:
        more = f" (and {len(texts.problems) - 1} more problems)" if len(texts.problems) > 1 else ""
        warn(f"the page shows no documents: {texts.problems[0]}{more}")
        return [], texts
    return chosen, texts


def _deciles(scored: Scored, summary: Summary) -> list[Decile]:
    """The documents nearest the deciles of each of the largest languages."""
    chosen = []
    for language in summary.languages[:MOST_LANGUAGES]:
        chosen += deciles(language, summary.language(language).before.perplexity)
    with progress("deciles") as update:
        fill(chosen, _counted(item_rows(scored, with_sample=False), len(scored.items), update))
    return chosen


def _counted(items: Iterator[ItemRows], total: int, update: Update) -> Iterator[ItemRows]:
    for done, item in enumerate(items, 1):
        yield item
        update(done, total)


def _page(content: PageContent) -> str:
    scored = content.scored
    homes = stages.homes(scored.home) or {"Scores": scored.scores}
    if scored.sampled and "Sample" not in homes:
        homes = {**homes, "Sample": scored.sampled}
    manifests = {title: manifest.read(home) for title, home in homes.items()}
    parts = [f"<header><h1>{escaped(scored.title)}</h1>"]
    if scored.reference:
        parts.append(f'<p class="soft">{link(scored.reference)}</p>')
    parts.append(f"{facts(_headline(content))}</header><main>")
    parts.append("<h2>How it was made</h2>" + origin.made(scored, manifests))
    for title, text in (("Language model", origin.language_models(scored)), ("Sampler", origin.sampler(scored))):
        parts += [f"<h2>{title}</h2>{text}"] if text else []
    parts += _figures(content.perplexity)
    if len(content.named) == 1:
        parts.append("<h2>Sources and languages</h2>")
    parts.append(groups_table(content.named, content.summary, scored, content.unit) + sources_table(scored))
    parts += _figures(content.length)
    parts += _documents(content)
    if (scored.home / "model").exists("loss.png"):
        loss = (scored.home / "model").fetched("loss.png")
        caption = "Loss by step, in nats per target id."
        parts.append("<h2>Loss</h2>" + figure(loss, "Training and validation loss by step", caption))
    parts.append(planned.section(scored.home))
    parts.append("<h2>Stages</h2>")
    parts += [stages.section(title, one) for title, one in manifests.items()]
    return document(scored.title, [*parts, "</main>"])


def _figures(drawn: Sequence[Figure]) -> list[str]:
    return [f"<h2>{escaped(one.title)}</h2>{figure(one.path, one.alt, one.caption, wide=one.wide)}" for one in drawn]


def _headline(content: PageContent) -> list[tuple[str, str]]:
    total = content.summary.total
    shown = [("documents scored", f"{total.before.documents:,}")]
    if total.after:
        shown += [
            ("documents kept", f"{total.after.documents:,}"),
            ("kept", percent(total.kept_share)),
        ]
    if len(content.summary.languages) == 1:
        quartiles = " / ".join(f"{value:,.3g}" for value in total.before.quartiles())
        shown.append(("quartiles of the perplexity", quartiles))
    return shown


def _documents(content: PageContent) -> list[str]:
    languages = content.summary.languages
    if not content.deciles and not content.texts.problems:
        return []
    parts = ["<h2>Documents nearest each decile of perplexity</h2>"]
    parts.append(
        f'<p class="soft">The {DOCUMENTS} documents whose perplexity is nearest each decile, and the {DOCUMENTS} at '
        "either end. Only their beginnings are shown; characters that are invisible or change the writing "
        "direction are shown as \N{REPLACEMENT CHARACTER}.</p>"
    )
    if len(languages) > MOST_LANGUAGES:
        parts.append(f'<p class="soft">The {MOST_LANGUAGES} largest of {len(languages)} languages.</p>')
    parts += [f'<p class="problem"><bdi>{escaped(problem)}</bdi></p>' for problem in content.texts.problems]
    return parts + documents.section(content.scored, content.deciles, content.texts, content.unit)
