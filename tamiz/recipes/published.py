"""What the card or paper of a published system says, beside what its recipe gives."""

from __future__ import annotations

from corpora.config import Config

FIGURES = ("parameters", "tokens_per_step", "tokens", "documents")
"""What [published] may name besides the keys of a recipe: figures that follow from them, and the documents."""

FOLLOWS_FROM = {"parameters": ("model",), "tokens_per_step": ("shards", "train"), "tokens": ("shards", "train")}
"""The sections that decide a figure."""


class Published(Config, frozen=True, kw_only=True):
    """One statement about a published system."""

    value: int | float | str
    """What is stated."""
    source: str
    """Where it is stated, such as `card`, or an address."""
    wrong: str = ""
    """Why it is wrong. Empty: nothing speaks against it."""
    differs: str = ""
    """Why the recipe differs although the statement is right, such as a flaw that it avoids."""

    def __str__(self) -> str:
        """In a line: `published 17,940,000 (card), WRONG: ...`."""
        shown = f"{self.value:,}" if isinstance(self.value, int | float) else self.value
        notes = [f"WRONG: {self.wrong}"] if self.wrong else []
        notes += [f"differs: {self.differs}"] if self.differs else []
        return "; ".join([f"published: {shown} ({self.source})", *notes])
