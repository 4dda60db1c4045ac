"""TOML -> Recipe. Unknown keys, wrong types and impossible combinations are refused here, naming their path."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from corpora.config import Config
from corpora.documents.sources import DocumentSource
from corpora.errors import BadArgument
from tamiz.recipes.overrides import Override
from tamiz.recipes.schema import DEMO, Recipe, Section, patterns
from tamiz.stages import Stage, ordered

__all__ = ["DEMO", "HOME", "load", "names", "parse", "patterns", "read"]

HOME = Path(__file__).parent
DEMO_VARIANT = "demo"


class _Header(Config, frozen=True, kw_only=True):
    """The top-level keys of a recipe."""

    name: str
    title: str = ""
    language: str = ""
    licence: str = ""
    reference: str = ""
    sources: dict[str, str] = {}  # noqa: RUF012 (msgspec copies it)


def names() -> list[str]:
    """The bundled recipes, without their variants."""
    return sorted(stem for stem, owner in _owners().items() if owner is None)


def variants(name: str) -> list[str]:
    """The variants of a bundled recipe: `demo`, and the other corpora that it can be built from."""
    return sorted(stem.removeprefix(f"{name}.") for stem, owner in _owners().items() if owner == name)


def _owners() -> dict[str, str | None]:
    """File -> the recipe that it is a variant of: NAME.VARIANT.toml is a variant if NAME.toml exists.

    A dot alone doesn't make a variant (t5-1.1-small), nor does `base`: a recipe may be based on another.
    """
    stems = sorted(p.stem for p in HOME.glob("*.toml"))
    return {stem: next((s for s in stems if stem.startswith(f"{s}.")), None) for stem in stems}


def load(recipe: str, *, overrides: Iterable[str] = (), demo: bool = False) -> Recipe:
    """Loads a bundled recipe by name, or a TOML file by path.

    Args:
        recipe: name or path.
        overrides: `key.path=value`; the value is TOML if it parses as TOML, else a string; an empty value removes
            the key.
        demo: load the recipe's small variant, whose documents are bundled.

    Raises:
        BadArgument: no such recipe, invalid TOML, an unknown key, or an invalid type, value or combination.
    """
    path = _find(recipe, demo)
    changes = [Override.parse(text) for text in overrides]
    path = _for_source(path, changes)
    tree = read(path)
    stages = ordered()
    sections = {section.name: section for stage in stages for section in stage.sections}
    for change in changes:
        change.apply(tree, sections)
    if any(change.path[0] == "documents" and change.path[-1] in ("input", "documents") for change in changes):
        _forget(tree, {change.path[0] for change in changes})
    try:
        return _resolve(tree, path.stem, stages, sections)
    except BadArgument as error:
        raise BadArgument(f"{path.stem}: {error}") from None


def _find(recipe: str, demo: bool = False) -> Path:
    path = Path(recipe) if recipe.endswith(".toml") else HOME / f"{recipe}.toml"
    variant = _variant(path, DEMO_VARIANT) if demo else path
    if variant.is_file():
        return variant
    if demo and path.is_file():
        raise BadArgument(f"the recipe {recipe} has no demo; these have one: {', '.join(_with_demo())}")
    raise BadArgument(f"no recipe {recipe!r}: give a .toml file or one of these names: {', '.join(names())}")


def _variant(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}.{name}.toml")


def _with_demo() -> list[str]:
    return [name for name in names() if DEMO_VARIANT in variants(name)]


def _for_source(path: Path, changes: Iterable[Override]) -> Path:
    """The recipe's variant for the corpus in `--set documents.source=NAME`, if there is one."""
    for change in changes:
        if change.path == ("documents", "source") and isinstance(change.value, str):
            variant = _variant(path, change.value)
            return variant if variant.is_file() else path
    return path


def parse(path: Path) -> dict[str, Any]:
    """A TOML file as a tree. Raises BadArgument."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadArgument(f"{path}: {error}") from None


def read(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A recipe's tree. `base` names another recipe or a .toml file in the same folder; this file's sections replace
    those of the base."""
    tree = parse(path)
    base = tree.pop("base", None)
    if base is None:
        return tree
    found = _find(str(path.parent / base) if str(base).endswith(".toml") else str(base))
    if found in (path, *above):
        raise BadArgument(f"{path}: base is {base!r}, which is based on this file: name another")
    under = read(found, (path, *above))
    if _names_files(tree.get("documents")):
        _forget(under, set())
    for place, listed in ((found, under.get("sources", {})), (path, tree.get("sources", {}))):
        if not isinstance(listed, dict):
            raise BadArgument(f"{place}: sources is {listed!r}, but it must be a section: [sources]")
    kept = {k: v for k, v in under.pop("sources", {}).items() if k.partition(".")[0] not in tree}
    return {**under, **tree, "sources": {**kept, **tree.get("sources", {})}}


def _forget(tree: dict[str, Any], stated: set[str]) -> None:
    """Removes what was said of other documents: nothing is known of the language and licence of the user's files."""
    for key in {"language", "licence"} - stated:
        tree.pop(key, None)


def _names_files(documents: object) -> bool:
    listed = documents if isinstance(documents, list) else [documents]
    return any(isinstance(source, dict) and "input" in source for source in listed)


def _resolve(
    tree: Mapping[str, Any], stem: str, stages: tuple[Stage, ...], sections: Mapping[str, Section]
) -> Recipe:
    keys = (*_Header.__struct_fields__, "documents")
    for key in tree.keys() - {*keys, *sections}:
        raise BadArgument(f"{key}: no such key or section; the sections are documents, {', '.join(sections)}")
    try:
        header = msgspec.convert({"name": stem, **{k: v for k, v in tree.items() if k in keys[:-1]}}, _Header)
    except msgspec.ValidationError as error:
        raise BadArgument(_with_path("", str(error), tree)) from None
    recipe = Recipe(
        name=header.name,
        title=header.title or header.name,
        language=header.language,
        licence=header.licence,
        reference=header.reference,
        documents=_documents(tree.get("documents", [])),
        sections={name: _section(section, tree.get(name)) for name, section in sections.items()},
        sources=header.sources,
    )
    _check(recipe, stages)
    return recipe


def section_settings(name: str, tree: Mapping[str, Any]) -> Any:
    """The settings of a section outside a recipe. Raises BadArgument, naming the path."""
    return _section(next(s for stage in ordered() for s in stage.sections if s.name == name), tree)


def _documents(tree: object) -> tuple[DocumentSource, ...]:
    listed = tree if isinstance(tree, list) else [tree]
    found = []
    for number, entry in enumerate(listed):
        place = "documents" if len(listed) == 1 else f"documents.{number}"
        try:
            found.append(msgspec.convert(entry, DocumentSource, strict=True))
        except msgspec.ValidationError as error:
            raise BadArgument(_with_path(place, str(error), entry)) from None
    return tuple(found)


def _section(section: Section, tree: Any) -> Any:
    if tree is None:
        return None
    if not isinstance(tree, dict):
        raise BadArgument(f"{section.name} is {tree!r}, but it must be a section: [{section.name}]")
    try:
        return section.read(tree)
    except msgspec.ValidationError as error:
        raise BadArgument(_with_path(section.name, str(error), tree)) from None
    except BadArgument as error:
        text = str(error)
        raise BadArgument(text if text.startswith(f"{section.name}.") else f"{section.name}.{text}") from None


def _check(recipe: Recipe, stages: tuple[Stage, ...]) -> None:
    """Raises BadArgument if a stage lacks something it needs, a section has no effect, or sections contradict each
    other."""
    running = [stage for stage in stages if stage.runs_in(recipe)]
    if not running:
        raise BadArgument(f"no stage to run: add a section, such as [{stages[0].sections[0].name}]")
    for stage in stages:
        if stage not in running:
            for section in stage.sections[1:]:
                if recipe.sections[section.name] is not None:
                    needed = stage.sections[0].name
                    raise BadArgument(f"{section.name} has no effect without a section [{needed}]: add it")
            continue
        for name, advice in stage.needs:
            if recipe.sections.get(name) is None:
                raise BadArgument(f"{stage.name} needs {_article(name)}: {advice}")
        if stage.reads and not recipe.documents:
            raise BadArgument(f"{stage.name} needs documents: add a section [documents] with input or source")
    for stage in running:
        if stage.settle:
            try:
                stage.settle(recipe)
            except ValueError as error:
                raise BadArgument(str(error)) from None


def _article(name: str) -> str:
    return {"lm": "a language model", "score": "scores", "shards": "shards"}.get(name, f"a {name}")


def _with_path(place: str, message: str, tree: Any) -> str:
    """Adds the section to msgspec's messages: "... - at `$.width`" -> "sample.width: ...", "keep is 2" ->
    "sample.keep is 2"."""
    found = re.fullmatch(r"(.*) - at `\$\.?(.*)`", message, re.DOTALL)
    text, inner = (found[1], found[2]) if found else (message, "")
    unknown = re.search(r"unknown field `(\w+)`", text)
    named = re.match(r"(\w+) is ", text)
    if named and not inner and named[1] in tree:
        return f"{place}.{text}"
    parts = [part for part in (place, inner, unknown[1] if unknown else "") if part]
    return f"{'.'.join(parts)}: {'no such key' if unknown else text}" if parts else text
