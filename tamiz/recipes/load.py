"""TOML -> Recipe. Unknown keys, wrong types and impossible combinations fail here, naming their path."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from corpora.errors import BadArgument
from tamiz.recipes.schema import Recipe
from tamiz.trainer.families import FAMILIES, ModelSettings

HOME = Path(__file__).parent
DEMO = HOME / "demo"
DEMO_SUFFIX = ".demo"


def names() -> list[str]:
    """The bundled recipes, demo variants left out."""
    return sorted(p.stem for p in HOME.glob("*.toml") if not p.stem.endswith(DEMO_SUFFIX))


def load(recipe: str, *, overrides: Iterable[str] = (), demo: bool = False) -> Recipe:
    """Loads a bundled recipe by name, or a TOML file by path.

    Args:
        recipe: name or path.
        overrides: `key.path=value`; the value is TOML where it parses, else a string; empty removes the key.
        demo: take the recipe's small variant, whose documents are bundled.

    Raises:
        BadArgument: no such recipe, not TOML, or a key, type, bound or combination that can't be.
    """
    path = _find(recipe, demo)
    tree = parse(path)
    overrides = list(overrides)
    _apply_overrides(tree, overrides)
    if _apply_variant(tree):
        _apply_overrides(tree, overrides)
    lm = tree.get("lm")
    if isinstance(lm, dict) and "file" in lm:
        lm.pop("train_tokenizer", None)  # a model that is brought brings its own
    try:
        if isinstance(tree.get("model"), dict):
            tree["model"] = _model(tree["model"])
        return msgspec.convert(tree, Recipe, strict=True)
    except msgspec.ValidationError as error:
        raise BadArgument(f"{path.stem}: {_with_path(str(error))}") from None


def _find(recipe: str, demo: bool) -> Path:
    path = Path(recipe) if recipe.endswith(".toml") else HOME / f"{recipe}.toml"
    if demo:
        path = path.with_name(f"{path.stem}{DEMO_SUFFIX}.toml")
    if path.is_file():
        return path
    if demo and path.with_name(path.name.replace(DEMO_SUFFIX, "")).is_file():
        raise BadArgument(f"the recipe {recipe} has no demo; {' and '.join(_with_demo())} has")
    raise BadArgument(f"no recipe {recipe!r}: give a .toml file or one of {', '.join(names())}")


def _with_demo() -> list[str]:
    return sorted(p.name.removesuffix(f"{DEMO_SUFFIX}.toml") for p in HOME.glob(f"*{DEMO_SUFFIX}.toml"))


def parse(path: Path) -> dict[str, Any]:
    """A TOML file as a tree. Raises BadArgument."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadArgument(f"{path}: {error}") from None


def _apply_overrides(tree: dict[str, Any], overrides: list[str]) -> None:
    for override in overrides:
        _override(tree, override)


def _override(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise BadArgument(f"--set {override!r} must be key.path=value, such as train.steps=20")
    section = tree
    for part in path[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise BadArgument(f"--set {key}: {part} is not a section")
    if text == "":
        section.pop(path[-1], None)
    else:
        section[path[-1]] = _value(text)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text


def _apply_variant(tree: dict[str, Any]) -> bool:
    """Another `documents.source` may replace whole sections."""
    source = tree.get("documents", {}).get("source") if isinstance(tree.get("documents"), dict) else None
    variants = tree.get("variants", {})
    if isinstance(source, str) and isinstance(variants, dict) and isinstance(variants.get(source), dict):
        tree.update({name: dict(section) for name, section in variants[source].items()})
        return True
    return False


def model_settings(section: dict[str, Any]) -> ModelSettings:
    """A section [model] that stands alone. Raises BadArgument."""
    try:
        return _model(section)
    except msgspec.ValidationError as error:
        raise BadArgument(_with_path(str(error))) from None


def _model(section: dict[str, Any]) -> ModelSettings:
    """Settings of the family that [model] names."""
    try:
        settings: ModelSettings = FAMILIES.convert(section)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise msgspec.ValidationError(f"{message} - at `$.model{path or '`'}") from None
    return settings


def _with_path(message: str) -> str:
    """msgspec's "... - at `$.sample.width`" as "sample.width: ..."."""
    found = re.fullmatch(r"(.*) - at `\$\.?(.*)`", message, re.DOTALL)
    if not found:
        return message
    unknown = re.search(r"unknown field `(\w+)`", found[1])
    if unknown:
        return f"{found[2]}.{unknown[1]}: no such key".lstrip(".")
    return f"{found[2]}: {found[1]}"


def patterns(value: tuple[str, ...] | str | None) -> list[str]:
    """`input` as a list of patterns; `demo:` names the folder of the bundled documents."""
    listed = [value] if isinstance(value, str) else list(value or ())
    return [str(DEMO / p.removeprefix("demo:")) if p.startswith("demo:") else p for p in listed]
