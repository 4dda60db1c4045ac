"""The YAML at a card's top, which the Hub reads: written, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpora.errors import TamizError

BORDER = "---"


class NotYaml(TamizError):
    """The text between the borders isn't a YAML mapping."""


def front_matter(fields: Mapping[str, Any]) -> str:
    """The block with its borders, a key after the other as given, for people to edit. Empty fields are left out."""
    import yaml

    plain = {name: _plain(value) for name, value in fields.items() if value}
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=2**20, default_flow_style=False)
    return f"{BORDER}\n{text if plain else ''}{BORDER}\n"


def read_front_matter(text: str) -> dict[str, Any] | None:
    """The fields; None if the text doesn't begin with a block. Raises NotYaml, naming the line, if it is no YAML."""
    import yaml

    lines = text.removeprefix("\ufeff").splitlines()
    closed = [n for n, line in enumerate(lines) if n and line.rstrip() == BORDER]
    if not closed or lines[0].rstrip() != BORDER:
        return None
    try:
        found = yaml.safe_load("\n".join(lines[1 : closed[0]]))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 2}" if mark else ""
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise NotYaml(f"the card's metadata is no YAML{place}: {said}") from None
    if found is not None and not isinstance(found, dict):
        raise NotYaml(f"the card's metadata is a {type(found).__name__}; it must be lines of `key: value`")
    return {str(key): value for key, value in (found or {}).items()}


def _plain(value: Any) -> Any:
    """YAML knows lists, not tuples."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
