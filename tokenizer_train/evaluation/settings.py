"""What `tamiz tokenizer eval` can be told. Imports no heavy library."""

from __future__ import annotations

from corpora.config import Config


class EvaluationSettings(Config, frozen=True, kw_only=True):
    """Which documents are looked at, and how they are told apart.

    language_column: the column or JSON field that says a document's language; None: its file's path does.
    languages: those that are looked for in paths; none: a folder or file named for a language alone says it.
    documents: so many of all, by a keyed draw; None: all.
    compare_auto: whether tokenizer.json is held against the engine of record.
    """

    language_column: str | None = None
    languages: tuple[str, ...] = ()
    documents: int | None = None
    compare_auto: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.language_column == "":
            raise ValueError("language_column is empty: name a column, or leave it out")
        if self.language_column is not None and self.languages:
            raise ValueError("language_column and languages exclude each other: a column says it, or the path does")
        if any(not language for language in self.languages):
            raise ValueError(f"languages are {','.join(self.languages)!r}: name them as es,pt")
        if self.documents is not None and self.documents < 1:
            raise ValueError(f"documents is {self.documents}: it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: it must be 0 or more")
