"""The card of an exported model."""

from __future__ import annotations

import json
from typing import Any

from corpora.manifest import NAME, is_tamiz_folder, read
from tamiz.cards.markdown import NAME as CARD
from tamiz.cards.markdown import front_matter, table
from tamiz.trainer.exports import Export, Source

_COPIED = ("language", "license", "datasets")


def export_card(source: Source, export: Export) -> str:
    """README.md: what the folder holds, of which model, and how it is loaded."""
    folder = source.folder.resolve().name
    about = _about(source)
    parts = [
        front_matter({**about, "base_model": folder, "tags": [source.family.model_type, export.name, "tamiz"]}),
        f"# {_heading(source) or folder}: {export.title}\n",
        f"A {source.family.title}, written by `tamiz export --to {export.name}` from the folder that transformers "
        f"loads.\n",
        f"## Use\n\nNeeds {_needs(export)}.\n\n```python\n{export.usage(source)}```\n",
    ]
    limits = export.limits(source)
    parts += [f"## Limits\n\n{limits}\n"] if limits else []
    parts.append("## Made from\n\n" + table(_rows(source, export)))
    return "\n".join(part for part in parts if part)


def _needs(export: Export) -> str:
    """Packages; `export.install()` names a path of this machine, where tamiz is."""
    packages = ", ".join(f"`{package}`" for package in export.packages)
    return "what these lines import" + (f", and {packages}" if packages else "")


def _heading(source: Source) -> str | None:
    """The first heading of the model's card: in a run, its folder's name says nothing."""
    path = source.folder / CARD
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), None)


def _about(source: Source) -> dict[str, Any]:
    """Language, licence and data of the model, from its card."""
    path = source.folder / CARD
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    head = lines[1 : lines.index("---", 1)] if lines[:1] == ["---"] and "---" in lines[1:] else []
    found = {}
    for line in head:
        key, _, value = line.partition(": ")
        if key in _COPIED:
            try:
                found[key] = json.loads(value)  # which the model's card writes; a person's YAML is left alone
            except ValueError:
                found[key] = value
    return found


def _rows(source: Source, export: Export) -> list[tuple[str, str]]:
    settings = [(name.replace("_", " "), str(value)) for name, value in export.asdict().items() if name != "to"]
    made = [("fingerprint of the model", read(source.folder).fingerprint)] if is_tamiz_folder(source.folder) else []
    return [*made, *settings, ("files", f"listed with their sha256 in {NAME}")]
