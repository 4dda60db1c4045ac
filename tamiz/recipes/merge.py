"""A recipe on its base: only the differences need to be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpora.choices import Choices
from corpora.errors import BadArgument
from tamiz.recipes.overrides import DOCUMENTS_DISPLACE
from tamiz.recipes.schema import Section

Tree = dict[str, Any]


def merged(under: Tree, own: Tree, sections: Mapping[str, Section]) -> Tree:
    """The base `under` with the keys of `own`. Sections merge key by key; every other value replaces the base's.

    A key that can't be combined with others removes them (`lm.file` removes `lm.source`), and another choice
    (`sample.method`) removes all keys of the base's section. `without` lists sections and keys to leave out.
    """
    under = _without(under, own)
    tree = {**under, **{key: value for key, value in own.items() if key != "without"}}
    for name, section in sections.items():
        if isinstance(under.get(name), dict) and isinstance(own.get(name), dict):
            tree[name] = _section(under[name], own[name], section)
    below, above = _one_source(under.get("documents")), _one_source(own.get("documents"))
    if below is not None and above is not None and not isinstance(own["documents"], list):
        tree["documents"] = {**_undisplaced(below, above, DOCUMENTS_DISPLACE), **above}
    for name in ("sources", "published"):
        kept = {path: text for path, text in under.get(name, {}).items() if _is_unchanged(path, own, tree)}
        tree[name] = {**kept, **own.get(name, {})}
    return tree


def _without(under: Tree, own: Tree) -> Tree:
    listed = own.get("without", [])
    if not isinstance(listed, list) or not all(isinstance(path, str) for path in listed):
        raise BadArgument(f"without is {listed!r}; it must be a list of sections and keys, such as ['sample.keep']")
    tree = {name: dict(table) if isinstance(table, dict) else table for name, table in under.items()}
    for path in listed:
        name, _, key = path.partition(".")
        home = tree.get(name) if key else tree
        if not isinstance(home, dict) or (key or name) not in home:
            raise BadArgument(f"without names {path!r}, which the base doesn't have: remove it")
        del home[key or name]
    return tree


def _section(under: Tree, own: Tree, section: Section) -> Tree:
    kind = section.kind
    if isinstance(kind, Choices) and own.get(kind.tag, under.get(kind.tag)) != under.get(kind.tag, section.default):
        return own
    return {**_undisplaced(under, own, section.displaces), **own}


def _undisplaced(under: Tree, own: Tree, displaces: Mapping[str, tuple[str, ...] | None]) -> Tree:
    for key in own:
        if key in displaces:
            excluded = displaces[key]
            under = {k: v for k, v in under.items() if k == key or not (excluded is None or k in excluded)}
    return under


def _one_source(documents: Any) -> Tree | None:
    """The only source of documents; None if there are several, or none."""
    listed = documents if isinstance(documents, list) else [documents]
    return listed[0] if len(listed) == 1 and isinstance(listed[0], dict) else None


def _is_unchanged(path: str, own: Tree, tree: Tree) -> bool:
    """Whether the number at the path is the base's: then its source holds."""
    name, _, key = path.partition(".")
    section, written = tree.get(name), own.get(name)
    if not key or not isinstance(section, dict):
        return name in tree and name not in own
    return key.partition(".")[0] in section and not (isinstance(written, dict) and key.partition(".")[0] in written)
