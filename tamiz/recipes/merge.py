"""A recipe on its base: only the differences need to be written."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
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
        kept = {p: text for p, text in under.get(name, {}).items() if _is_unchanged(p, own, tree, sections)}
        tree[name] = {**kept, **own.get(name, {})}
    return tree


def _without(under: Tree, own: Tree) -> Tree:
    listed = own.get("without", [])
    if not isinstance(listed, list) or not all(isinstance(path, str) for path in listed):
        raise BadArgument(f"without is {listed!r}; it must be a list of sections and keys, such as ['sample.keep']")
    tree = deepcopy(under)
    for path in listed:
        *above, key = path.split(".")
        home: Any = tree
        for part in above:
            home = home.get(part) if isinstance(home, dict) else None
        if not isinstance(home, dict) or key not in home:
            raise BadArgument(f"without names {path!r}, which the base doesn't have: remove it")
        del home[key]
    return tree


def _section(under: Tree, own: Tree, section: Section) -> Tree:
    kind = section.kind
    if isinstance(kind, Choices) and own.get(kind.tag, under.get(kind.tag)) != under.get(kind.tag, section.default):
        return own
    tree = {**_undisplaced(under, own, section.displaces), **own}
    below, above = (table.get(str(section.variants)) for table in (under, own))
    if section.variants and isinstance(below, dict) and isinstance(above, dict):
        variants = {name: _variant(below.get(name), table, section) for name, table in above.items()}
        tree[section.variants] = {**below, **variants}
    return tree


def _variant(under: Any, own: Any, section: Section) -> Any:
    """A table that overrides the section, on that of the base."""
    if not isinstance(under, dict) or not isinstance(own, dict):
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


def _is_unchanged(path: str, own: Tree, tree: Tree, sections: Mapping[str, Section]) -> bool:
    """Whether the number at the path is the base's: then its source holds."""
    name, *keys = path.split(".")
    section, written = tree.get(name), own.get(name)
    if not keys or not isinstance(section, dict):
        return name in tree and name not in own
    if name in sections and keys and keys[0] == sections[name].variants:
        section, written = _inside(section, keys[:2]), _inside(written, keys[:2])
        keys = keys[2:]
    return (
        isinstance(section, dict)
        and bool(keys)
        and keys[0] in section
        and not (isinstance(written, dict) and keys[0] in written)
    )


def _inside(table: Any, path: list[str]) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table
