"""A recipe in the form that stages read: where the documents come from, and the settings of each stage that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from corpora.choices import Choices
from corpora.config import Config
from corpora.documents.sources import DocumentSource
from tamiz.recipes.published import Published

DEMO = Path(__file__).parent / "demo"
DEMO_PREFIX = "demo:"
SAVED = "recipe.json"  # the resolved recipe, in the folder of its run
DESCRIBED = ("name", "title", "language", "licence", "reference")  # keys that describe what a recipe builds


@dataclass(frozen=True)
class Section:
    """A section of a recipe, and the settings made from it.

    kind        a settings class, or a registry of settings classes; then a key of the section names one of them
    default     the choice if the section names none; only with a registry
    takes       key -> the key of another section whose value it has if it isn't given ("tokenizer.vocab_size")
    displaces   key -> the keys that overriding it (`--set section.key=...`) removes, because they can't be combined;
                None: all
    variants    a key that holds tables, by name, with keys of the section that override it ([lm.languages.ko]); only
                with a settings class that requires no key
    """

    name: str
    kind: type[Config] | Choices[Any]
    default: str | None = None
    displaces: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)
    variants: str | None = None

    def is_displaced(self, key: str, tree: Mapping[str, Any]) -> bool:
        """Whether the section has a key that can't be combined with this one."""
        excluded = [self.displaces[other] for other in tree if other != key and other in self.displaces]
        return any(keys is None or key in keys for keys in excluded)

    def read(self, tree: Mapping[str, Any]) -> Any:
        """Raises msgspec.ValidationError, or BadArgument for a choice that doesn't exist."""
        if isinstance(self.kind, Choices):
            return self.kind.convert(tree, self.default)
        return msgspec.convert(tree, self.kind, strict=True)


@dataclass(frozen=True)
class Recipe:
    """A system, from raw text to model. Sections are also attributes: `recipe.train.steps`.

    name, title, language, licence, reference    what describes the system; empty if not in the file
    documents    the sources of documents, in order
    sections     section -> its settings, or None if the recipe doesn't have it; has all sections of known stages
    sources      path ("sample.width") -> where the number comes from, or "assumed: why"
    published    path, or the name of a figure ("parameters") -> what the published system's card says
    """

    name: str
    title: str
    language: str
    licence: str
    reference: str
    documents: tuple[DocumentSource, ...]
    sections: Mapping[str, Any]
    sources: Mapping[str, str]
    published: Mapping[str, Published] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        sections = self.__dict__.get("sections", {})
        if name not in sections:
            raise AttributeError(f"a recipe has no section {name!r}")
        return sections[name]

    @property
    def inputs(self) -> list[DocumentSource]:
        """The sources of documents, with the paths of bundled documents resolved."""
        return [
            source if source.input is None else msgspec.structs.replace(source, input=tuple(patterns(source.input)))
            for source in self.documents
        ]

    def asdict(self) -> dict[str, Any]:
        """Plain data for JSON: header, documents, existing sections, sources."""
        header = {name: getattr(self, name) for name in DESCRIBED}
        documents = [{k: v for k, v in source.asdict().items() if v is not None} for source in self.documents]
        present = {k: msgspec.to_builtins(v) for k, v in self.sections.items() if v is not None}
        claims = {"published": msgspec.to_builtins(self.published)} if self.published else {}
        return {**header, "documents": documents, **present, "sources": dict(self.sources), **claims}


def patterns(value: tuple[str, ...] | str | None) -> list[str]:
    """`input` as a list of patterns; `demo:` stands for the folder of the bundled documents."""
    listed = [value] if isinstance(value, str) else list(value or ())
    return [str(DEMO / p.removeprefix(DEMO_PREFIX)) if p.startswith(DEMO_PREFIX) else p for p in listed]
