"""Published corpora by name: where they lie, under which licence, and who made them."""

from __future__ import annotations

import difflib

from corpora.config import Config
from corpora.errors import BadArgument


class Source(Config, frozen=True, kw_only=True):
    """A named corpus. `pattern` is what work_items takes; licence and citation go into cards."""

    name: str
    language: str
    pattern: str
    licence: str
    citation: str


_ALL = (
    Source(
        name="mc4-es",
        language="es",
        # "c4-es." leaves out c4-es-validation.*
        pattern="hf://datasets/allenai/c4/multilingual/c4-es.*.json.gz",
        licence="ODC-BY 1.0, and Common Crawl's terms of use for the content",
        citation="Xue et al. 2021, mT5 (arXiv:2010.11934); the copy of https://huggingface.co/datasets/allenai/c4",
    ),
    Source(
        name="mmarco-es",
        language="es",
        pattern="hf://datasets/unicamp-dl/mmarco/data/google/collections/spanish_collection.tsv",
        licence="none on its card; a translation of MS MARCO, whose terms allow non-commercial research",
        citation="Bonifacio et al. 2021, mMARCO (arXiv:2108.13897), https://huggingface.co/datasets/unicamp-dl/mmarco",
    ),
    Source(
        name="wikipedia-es",
        language="es",
        pattern="hf://datasets/wikimedia/wikipedia/20231101.es/*.parquet",
        licence="CC BY-SA 3.0 and GFDL",
        citation="Wikimedia Foundation, dump of 2023-11-01, https://huggingface.co/datasets/wikimedia/wikipedia",
    ),
)
SOURCES = {source.name: source for source in _ALL}


def source(name: str) -> Source:
    """The named source; BadArgument, with the nearest name, if there is none."""
    if name in SOURCES:
        return SOURCES[name]
    near = difflib.get_close_matches(name, SOURCES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"sources are {', '.join(SOURCES)}"
    raise BadArgument(f"documents.source is {name}, which is no named source; {hint}")


class DocumentSource(Config, frozen=True, kw_only=True):
    """Where documents come from: patterns of files in `input`, or a corpus by name in `source`; one of the two."""

    input: tuple[str, ...] | str | None = None
    """Patterns of files: globs, local or at any fsspec address."""
    source: str | None = None
    """A corpus by name: a key of SOURCES."""
    language: str | None = None
    """The language of every document, such as "es"."""
    text_column: str = "text"
    """The column or JSON field that holds the text."""
    format: str | None = None
    """The format of files whose extension doesn't say it."""
    blank_lines: bool = False
    """Whether blank lines separate the documents of a text file; otherwise each line is a document."""
    name: str | None = None
    """What the source is called in reports."""

    def __post_init__(self) -> None:
        if self.input is not None and not self.input:
            raise ValueError("input is empty: name patterns of files")
        if (self.input is None) == (self.source is None):
            raise ValueError("give either input, with patterns of files, or source, with the name of a corpus")
        if self.source is not None and self.source not in SOURCES:
            raise ValueError(f"source is {self.source!r}; it must be one of {', '.join(SOURCES)}")

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of the source's files."""
        if self.source is not None:
            return (SOURCES[self.source].pattern,)
        return (self.input,) if isinstance(self.input, str) else self.input or ()
