"""TOML -> Recipe. Unknown keys, wrong types and impossible combinations are refused here, naming their path."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from corpora.config import Config
from corpora.documents.sources import DocumentSource
from corpora.errors import BadArgument, in_a_line
from tamiz.log import HIDDEN
from tamiz.recipes.bundled import DEMO_VARIANT, HOME, base_of, names, parse, variant_of, variants, with_demo
from tamiz.recipes.merge import merged
from tamiz.recipes.overrides import Override
from tamiz.recipes.problems import fields_of, nearest, of_section, of_table, shown
from tamiz.recipes.published import FIGURES, FOLLOWS_FROM, Published
from tamiz.recipes.schema import DEMO, DESCRIBED, SAVED, Recipe, Section, patterns
from tamiz.stages import Stage, ordered

__all__ = ["DEMO", "HOME", "load", "names", "parse", "patterns", "read", "variants"]


class Header(Config, frozen=True, kw_only=True):
    """The top-level keys of a recipe."""

    name: str = ""
    """Its name, and that of its folder in runs/. Empty: that of the file."""
    title: str = ""
    """What it builds, for summaries and cards. Empty: the name."""
    language: str = ""
    """The language of the model, for its card. Empty: unknown."""
    licence: str = ""
    """The licence of the model, for its card. Empty: unknown."""
    reference: str = ""
    """The address of what it rebuilds, for its card."""
    sources: dict[str, str] = {}  # noqa: RUF012 (msgspec copies it)
    """Where each number comes from, by its path, or `assumed: ...`."""
    published: dict[str, Published] = {}  # noqa: RUF012
    """What the card of the published system says, by path, or of `parameters`, `tokens_per_step`, `tokens` and
    `documents`: tables with `value`, `source` and, where the card is wrong or the recipe differs, `wrong` or
    `differs`."""


def load(recipe: str, *, overrides: Iterable[str] = (), demo: bool = False) -> Recipe:
    """Loads a bundled recipe by name, a TOML file by path, or the recipe of an earlier run by its folder.

    Args:
        recipe: name, .toml file, or a folder with recipe.json.
        overrides: `key.path=value`; the value is TOML if it parses as TOML, else a string; an empty value removes
            the key.
        demo: load the recipe's small variant, whose documents are bundled.

    Raises:
        BadArgument: no such recipe, invalid TOML, an unknown key, or an invalid type, value or combination.
    """
    if demo and saved(recipe):
        raise BadArgument(f"--demo is a variant of bundled recipes, but {recipe} is a run: leave --demo out")
    path = _demo(recipe) if demo else _find(recipe)
    changes = [Override.parse(text) for text in overrides]
    path = _for_source(path, changes)
    tree = parse_saved(path) if path.name == SAVED else read(path)
    sections = _sections()
    if demo:
        tree |= _as_demo_of(recipe, path)
    for change in changes:
        change.apply(tree, sections)
    if any(change.path[0] == "documents" and change.path[-1] in ("input", "documents") for change in changes):
        _forget(tree, {change.path[0] for change in changes})
    place = str(path) if path.name == SAVED else path.stem
    try:
        _check_secrets(tree, "")
        return _resolve(tree, path.stem)
    except BadArgument as error:
        raise BadArgument(f"{place}: {error}") from None


def _find(recipe: str) -> Path:
    run = saved(recipe)
    if run is not None:
        return run
    path = Path(recipe) if recipe.endswith(".toml") else HOME / f"{recipe}.toml"
    if path.is_file():
        return path
    if Path(recipe).is_dir():
        raise BadArgument(f"{recipe} is a folder without {SAVED}: no run with a recipe started there")
    raise _no_recipe(recipe)


def _no_recipe(recipe: str) -> BadArgument:
    path = Path(recipe)
    if path.suffix == ".toml":
        beside = sorted(each.name for each in path.parent.glob("*.toml"))
        file, bundled = nearest(path.name, beside), nearest(path.stem, names())
        hint = "`tamiz recipes` lists the bundled recipes"
        if file or bundled:
            hint = f"did you mean {path.parent / file if file else f'{bundled}, the bundled recipe'}?"
        return BadArgument(f"{recipe}: there is no such file; {hint}")
    longer = (name for name in names() if recipe and name.startswith(recipe))  # too far from it to be near
    near = nearest(recipe, names()) or next(longer, None)
    hint = f"did you mean {near}?" if near else "`tamiz recipes` lists them"
    return BadArgument(f"no recipe {recipe!r}: give a .toml file, a folder of `tamiz run`, or a bundled name; {hint}")


def saved(recipe: str) -> Path | None:
    """The recipe.json that a folder of `tamiz run` holds, or that is named itself."""
    path = Path(recipe)
    found = path if path.name == SAVED else path / SAVED
    return found if found.is_file() else None


def _demo(recipe: str) -> Path:
    """The recipe's demo. A bundled recipe without its own has that of its base: they differ only in sizes."""
    path = _find(recipe)
    found = variant_of(path, DEMO_VARIANT)
    if found.is_file():
        return found
    base = base_of(path.stem) if path.parent == HOME else None
    if base is None:
        raise BadArgument(f"the recipe {recipe} has no demo; these have one: {', '.join(with_demo())}")
    return _demo(base)


def _as_demo_of(recipe: str, demo: Path) -> dict[str, str]:
    """Name, title and reference for a recipe whose demo is that of its base; nothing for its own demo."""
    if demo == variant_of(_find(recipe), DEMO_VARIANT):
        return {}
    full = read(_find(recipe))
    title = f"{full['title']}, reduced for a demo"
    return {"name": f"{recipe}.{DEMO_VARIANT}", "title": title, "reference": full.get("reference", "")}


def _for_source(path: Path, changes: Iterable[Override]) -> Path:
    """The recipe's variant for the corpus in `--set documents.source=NAME`, if there is one."""
    for change in changes:
        if change.path == ("documents", "source") and isinstance(change.value, str):
            variant = variant_of(path, change.value)
            return variant if variant.is_file() else path
    return path


def parse_saved(path: Path) -> dict[str, Any]:
    """A recipe.json as a tree, as a .toml file would say it. Raises BadArgument."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadArgument(f"{path} can't be read ({in_a_line(error)}); give the recipe itself") from None
    if not isinstance(tree, dict):
        raise BadArgument(f"{path} is no recipe: give the recipe itself")
    listed = tree.get("documents")
    if isinstance(listed, list):
        tree["documents"] = [_given(source) for source in listed]
    return {key: _given(value) for key, value in tree.items() if value is not None and value != []}


def _given(table: Any) -> Any:
    return {k: v for k, v in table.items() if v is not None} if isinstance(table, dict) else table


def _check_secrets(tree: Any, path: str) -> None:
    """Raises BadArgument for an address whose secret wasn't written to recipe.json."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        inside = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict | list):
            _check_secrets(value, inside)
        elif isinstance(value, str) and "://" in value and HIDDEN in value:
            raise BadArgument(f"{inside} is {value}, without its secret: give it with --set {inside}=ADDRESS")


def read(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A recipe's tree. `base` names another recipe, or a .toml file in the same folder; see `merged`.

    A file of the user's describes a system of its own: it doesn't inherit the title, language, licence and reference.
    """
    tree = parse(path)
    base = tree.pop("base", None)
    if base is None:
        return tree
    if not isinstance(base, str):
        raise BadArgument(f"{path}: base is {shown(base)}; it must be the name of a recipe, or a .toml file")
    found = _find(str(path.parent / base) if base.endswith(".toml") else base)
    if found in (path, *above):
        raise BadArgument(f"{path}: base is {base!r}, which is based on this file: name another")
    under = read(found, (path, *above))
    for place, content in ((found, under), (path, tree)):
        for key in ("sources", "published"):
            if not isinstance(content.get(key, {}), dict):
                raise BadArgument(f"{place}: {key} is {content[key]!r}, but it must be a section: [{key}]")
    if path.parent != HOME:
        under = {key: value for key, value in under.items() if key not in DESCRIBED}
    try:
        whole = merged(under, tree, _sections())
    except BadArgument as error:
        raise BadArgument(f"{path}: {error}") from None
    if path.parent == HOME and path.stem.startswith(f"{found.stem}."):
        whole["published"] = {**_of_the_same_system(under, tree), **whole["published"]}
    return whole


def _of_the_same_system(under: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    """What the card says of figures that a variant doesn't change."""
    claims = under.get("published", {})
    return {
        figure: claims[figure]
        for figure, sections in FOLLOWS_FROM.items()
        if figure in claims and variant.keys().isdisjoint(sections)
    }


def _forget(tree: dict[str, Any], stated: set[str]) -> None:
    """Removes what was said of other documents: nothing is known of the language and licence of the user's files."""
    for key in {"language", "licence"} - stated:
        tree.pop(key, None)


def _sections() -> dict[str, Section]:
    return {section.name: section for stage in ordered() for section in stage.sections}


def _resolve(tree: dict[str, Any], stem: str) -> Recipe:
    """Raises BadArgument with all that is wrong: first keys, types and missing sections, then values, then
    contradictions between sections."""
    stages, sections = ordered(), _sections()
    keys = (*Header.__struct_fields__, "documents")
    found = [_no_section(key, (*keys, *sections)) for key in tree if key not in {*keys, *sections}]
    head = {key: value for key, value in tree.items() if key in keys[:-1]}
    found += of_table("", Header, {key: value for key, value in head.items() if key != "published"})
    found += _claims(head.get("published", {}), sections)
    documents, wrong = _documents(tree.get("documents", []))
    found += wrong
    for name, section in sections.items():
        if name in tree:
            found += _of_section(section, _taken(section, tree, sections))
    found += _missing(tree, stages)
    _raise(found)
    settings: dict[str, Any] = {}
    for name, section in sections.items():
        try:
            settings[name] = section.read(_taken(section, tree, sections)) if name in tree else None
        except (msgspec.ValidationError, BadArgument) as error:
            found.append(_with_place(name, str(error), fields_of(section)))
    _raise(found)
    header = msgspec.convert(head, Header)
    recipe = Recipe(
        name=header.name or stem,
        title=header.title or header.name or stem,
        language=header.language,
        licence=header.licence,
        reference=header.reference,
        documents=documents,
        sections=settings,
        sources=header.sources,
        published=header.published,
    )
    _raise([problem for stage in stages if stage.runs_in(recipe) for problem in _unsettled(stage, recipe)])
    return recipe


def _claims(published: Any, sections: Mapping[str, Section]) -> list[str]:
    """What is wrong with [published]."""
    if not isinstance(published, dict):
        return [f"published is {shown(published)}, but it must be a section: [published]"]
    found = []
    for path, claim in published.items():
        if path.partition(".")[0] not in (*FIGURES, *sections):
            found.append(f"published.{path}: no such section or figure; the figures are {', '.join(FIGURES)}")
        elif not isinstance(claim, dict):
            found.append(f"published.{path} is {shown(claim)}; it must be a table with value and source")
        else:
            found += of_table(f"published.{path}", Published, claim)
            found += [] if claim.get("source") else [f"published.{path}.source is empty: say where that is stated"]
    return list(dict.fromkeys(found))


def _raise(problems: list[str]) -> None:
    if problems:
        raise BadArgument(" | ".join(problems))


def _no_section(key: str, known: tuple[str, ...]) -> str:
    near = nearest(key, known)
    sections = known[len(Header.__struct_fields__) :]
    hint = f"did you mean {near}?" if near else f"the sections are {', '.join(sections)}"
    return f"{key}: no such key or section, {hint}"


def _of_section(section: Section, tree: Any) -> list[str]:
    if not isinstance(tree, dict):
        return [f"{section.name} is {shown(tree)}, but it must be a section: [{section.name}]"]
    return of_section(section, tree)


def _taken(section: Section, tree: dict[str, Any], sections: Mapping[str, Section]) -> Any:
    """A section's tree, with the keys that it takes from other sections."""
    own = tree[section.name]
    if not isinstance(own, dict):
        return own
    for key, path in section.takes.items():
        name, _, other = path.partition(".")
        if key not in own and isinstance(tree.get(name), dict) and not sections[name].is_displaced(other, tree[name]):
            try:
                value = getattr(sections[name].read(tree[name]), other, None)
            except (msgspec.ValidationError, BadArgument):
                continue  # which is reported with that section
            own = own if value is None else {**own, key: value}
    return own


def section_settings(name: str, tree: Mapping[str, Any]) -> Any:
    """The settings of a section outside a recipe. Raises BadArgument, naming the path."""
    section = _sections()[name]
    _raise(_of_section(section, tree))
    try:
        return section.read(tree)
    except (msgspec.ValidationError, BadArgument) as error:
        raise BadArgument(_with_place(name, str(error), fields_of(section))) from None


def _documents(tree: object) -> tuple[tuple[DocumentSource, ...], list[str]]:
    """The sources of documents, and what is wrong with them."""
    listed = tree if isinstance(tree, list) else [tree]
    found: list[DocumentSource] = []
    problems: list[str] = []
    for number, entry in enumerate(listed):
        place = "documents" if len(listed) == 1 else f"documents.{number}"
        if not isinstance(entry, dict):
            problems.append(f"{place} is {shown(entry)}; it must be a table with input or source")
            continue
        wrong = of_table(place, DocumentSource, entry)
        try:
            found += [] if wrong else [msgspec.convert(entry, DocumentSource, strict=True)]
        except (msgspec.ValidationError, BadArgument) as error:
            wrong = [_with_place(place, str(error), DocumentSource.__struct_fields__)]
        problems += wrong
    return tuple(found), problems


def _missing(tree: Mapping[str, Any], stages: tuple[Stage, ...]) -> list[str]:
    """What stages need and the recipe lacks, and sections without effect."""
    running = [stage for stage in stages if stage.sections[0].name in tree]
    if not running:
        return [f"no stage to run: add a section, such as [{stages[0].sections[0].name}]"]
    found = []
    for stage in stages:
        needed = stage.sections[0].name
        if stage not in running:
            idle = [section.name for section in stage.sections[1:] if section.name in tree]
            found += [f"{name} has no effect without a section [{needed}]: add it" for name in idle]
            continue
        lacking = [(name, advice) for name, advice in stage.needs if name not in tree]
        found += [f"{stage.name} needs {_article(name)}: {advice}" for name, advice in lacking]
    reading = [stage.name for stage in running if stage.reads]
    if reading and not tree.get("documents"):
        found.append(f"{reading[0]} needs documents: add a section [documents] with input or source")
    return found


def _unsettled(stage: Stage, recipe: Recipe) -> list[str]:
    """Why a stage can't run with the recipe's sections, if so."""
    try:
        if stage.settle:
            stage.settle(recipe)
    except ValueError as error:
        return [str(error)]
    return []


def _article(name: str) -> str:
    return {"lm": "a language model", "score": "scores", "shards": "shards"}.get(name, f"a {name}")


def _with_place(place: str, message: str, keys: Container[str]) -> str:
    """Names the section in a message of a settings class: "keep is 2 - at `$`" -> "sample.keep is 2"."""
    text, _, inner = message.partition(" - at `$")
    if text.startswith(f"{place}."):
        return text
    key = re.match(r"(\w+) (?:is|are) ", text)
    if key and key[1] in keys:
        return f"{place}.{text}"
    return f"{'.'.join(filter(None, (place, inner.strip('`.'))))}: {text}"
