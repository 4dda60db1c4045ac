"""The bundled recipes and their files: NAME.toml, its demo NAME.demo.toml, and NAME.SOURCE.toml for other corpora."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from corpora.errors import BadArgument

HOME = Path(__file__).parent
DEMO_VARIANT = "demo"


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


def variant_of(path: Path, name: str) -> Path:
    """The file of a variant, which needn't exist."""
    return path.with_name(f"{path.stem}.{name}.toml")


def parse(path: Path) -> dict[str, Any]:
    """A TOML file as a tree. Raises BadArgument."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadArgument(f"{path}: {error}") from None


def base_of(name: str) -> str | None:
    """The bundled recipe that a bundled recipe is based on."""
    base = parse(HOME / f"{name}.toml").get("base")
    return base if isinstance(base, str) else None


def title_of(name: str) -> str:
    """The title of a bundled recipe."""
    return str(parse(HOME / f"{name}.toml").get("title", name))


def has_demo(name: str) -> bool:
    """Whether a bundled recipe, or one that it is based on, has a demo."""
    base = base_of(name)
    return DEMO_VARIANT in variants(name) or (base is not None and has_demo(base))


def with_demo() -> list[str]:
    """The bundled recipes that have a demo."""
    return [name for name in names() if has_demo(name)]
