"""The card of an exported model."""

from __future__ import annotations

from typing import Any

from corpora.manifest import NAME, is_tamiz_folder, read
from tamiz.cards.front_matter import NotYaml, front_matter, read_front_matter
from tamiz.cards.markdown import NAME as CARD
from tamiz.cards.markdown import table
from tamiz.trainer.exports import Export, Source

_COPIED = ("language", "license", "datasets")


def export_card(source: Source, export: Export) -> str:
    """README.md: what the folder holds, of which model, and how it is loaded."""
    about = _about(source)
    parts = [
        front_matter({**about, "tags": [source.family.model_type, export.name, "tamiz"]}),
        f"# {_heading(source) or source.name}: {export.title}\n",
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
    try:
        fields = read_front_matter(path.read_text(encoding="utf-8", errors="replace")) or {}
    except NotYaml:
        return {}  # a person's, whose card is checked when it is published
    return {name: fields[name] for name in _COPIED if name in fields}


def _rows(source: Source, export: Export) -> list[tuple[str, str]]:
    settings = [(name.replace("_", " "), str(value)) for name, value in export.asdict().items() if name != "to"]
    made = [("fingerprint of the model", read(source.folder).fingerprint)] if is_tamiz_folder(source.folder) else []
    return [*made, *settings, ("files", f"listed with their sha256 in {NAME}")]
