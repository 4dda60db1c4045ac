"""The settings of `tamiz tokenizer eval`. Imports no heavy library."""

from __future__ import annotations

from corpora.config import Config


class EvaluationSettings(Config, frozen=True, kw_only=True):
    """Which documents are evaluated, and how they are grouped."""

    language_column: str | None = None
    """The column or JSON field with a document's language. None: its file's path names the language."""

    languages: tuple[str, ...] = ()
    """Languages to look for in paths. Empty: look for a folder or file whose whole name is a language."""

    documents: int | None = None
    """Number of documents to draw, keyed by their text. None: all."""

    compare_auto: bool = True
    """Whether to compare tokenizer.json, as AutoTokenizer reads it, with the engine of record."""

    seed: int = 0
    """Seed of the draw."""

    def __post_init__(self) -> None:
        if self.language_column == "":
            raise ValueError("language_column is empty: name a column, or leave it out")
        if self.language_column is not None and self.languages:
            raise ValueError(
                "language_column and languages exclude each other: the language comes from a column or from the path"
            )
        if any(not language for language in self.languages):
            raise ValueError(f"languages are {','.join(self.languages)!r}: write them like es,pt")
        if self.documents is not None and self.documents < 1:
            raise ValueError(f"documents is {self.documents}: it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: it must be 0 or more")
