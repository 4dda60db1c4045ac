"""A resolved recipe as TOML that runs. As comments: sources, what the published system's card says, and figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from corpora import extras
from corpora.encoding import load_encoder
from corpora.errors import TamizError, in_a_line
from tamiz.recipes.figures import Figures, figures, lines, missing_packages
from tamiz.recipes.published import Published
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages import ordered
from tamiz.stages.brought import is_of_hub, located


def as_toml(recipe: Recipe) -> Iterator[str]:
    """Yields lines. Saved and loaded, they give the same recipe; its `sources` and `published` are comments."""
    plain = recipe.asdict()
    sources, claims = plain.pop("sources"), dict(recipe.published)
    plain.pop("published", None)
    known = {section.name: section for stage in ordered() for section in stage.sections}
    found = None
    for key, value in plain.items():
        if key == "documents":
            yield from _claim("", claims.pop("documents", None))
            for entry in value:
                yield from _table("[[documents]]", entry, {}, nested=False)
        elif isinstance(value, dict):
            yield from _section(key, _effective(value, known[key]), recipe.sections[key], sources, claims)
            if key == "tokenizer" and value["file"]:
                yield _existing(value["file"])
            if key == "model":
                found = figures(recipe)  # only now, since it loads torch: what is above is on the screen already
                yield from _size(found)
        elif value:
            yield _line(key, value, sources.get(key))
    yield from _figures(found, claims)


def _effective(content: Mapping[str, Any], section: Section) -> dict[str, Any]:
    """The keys of a section without those that others leave without effect, such as those that train a tokenizer if
    one is brought. Keys that were set although they have no effect stay."""
    given = {key: value for key, value in content.items() if value is not None}
    fields = structs.fields(section.kind) if section.displaces and isinstance(section.kind, type) else ()
    defaults = {field.encode_name: field.default for field in fields}
    return {
        key: value
        for key, value in content.items()
        if not (section.is_displaced(key, given) and value == defaults.get(key))
    }


def _existing(file: str) -> str:
    """What is known of a brought tokenizer without a network."""
    if is_of_hub(file):
        return "# an existing tokenizer of the Hugging Face Hub; the run downloads it"
    try:
        encoder = load_encoder(located(file, Path()))
    except (TamizError, OSError) as error:
        return f"# an existing tokenizer, which can't be read here: {in_a_line(error)}"
    return f"# an existing tokenizer of {encoder.vocab_size:,} ids, sha256 {encoder.sha256}"


def _section(
    name: str, content: Mapping[str, Any], settings: Any, sources: Mapping[str, str], claims: dict[str, Published]
) -> Iterator[str]:
    """A section with its comments. Takes what it shows out of `claims`."""
    comments = {path: text for path, text in sources.items() if path.startswith(f"{name}.")}
    for key in content:
        path = f"{name}.{key}"
        said = [comments.get(path) or _default(settings, key), _text(claims.pop(path, None))]
        comments[path] = "; ".join(filter(None, said))
    yield from _table(f"[{name}]", content, comments, nested=True)
    for path in [path for path in claims if path.startswith(f"{name}.")]:
        yield from _claim(path.removeprefix(f"{name}."), claims.pop(path))


def _text(claim: Published | None) -> str | None:
    return None if claim is None else str(claim)


def _claim(key: str, claim: Published | None) -> Iterator[str]:
    if claim is not None:
        yield f"# {key}{' ' if key else ''}{claim}"


def _default(settings: Any, key: str) -> str | None:
    """What to say of a number that the recipe leaves as it is, or sets without a source."""
    value = getattr(settings, key, None)
    if not _is_number(value):
        return None
    defaults = {field.encode_name: field.default for field in structs.fields(type(settings))}
    return "tamiz's default" if defaults.get(key) == value else "no source is given"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _size(found: Figures | None) -> Iterator[str]:
    """The parameters of the model."""
    if found is None:
        missing = " and ".join(missing_packages())
        yield f"# parameters: to count them, {missing} must be installed: {extras.line('train')}"
    else:
        yield f"# {found.parameters:,} parameters"


def _figures(found: Figures | None, claims: dict[str, Published]) -> Iterator[str]:
    """What follows from the recipe, each beside what is published."""
    known = dict(lines(found)) if found else {}
    if known or claims:
        yield "\n# figures"
    for name, text in known.items():
        said = _text(claims.pop(name, None))
        yield f"# {name}: {text}" + (f"; {said}" if said else "")
    for name, claim in claims.items():
        yield from _claim(f"{name}:", claim)


def _table(
    title: str, content: Mapping[str, Any], comments: Mapping[str, str | None], *, nested: bool
) -> Iterator[str]:
    """comments: by path, from the section on. nested: tables inside are written below, with comments of their own."""
    yield ""
    yield title
    path = title.strip("[]")
    inside = {key: value for key, value in content.items() if nested and isinstance(value, dict) and value}
    for key, value in content.items():
        if value is not None and key not in inside:
            yield _line(key, value, comments.get(f"{path}.{key}"))
    for key, value in inside.items():
        unsaid = {f"{path}.{key}.{name}": "no source is given" for name, one in value.items() if _is_number(one)}
        yield from _table(f"[{path}.{_key(key)}]", value, {**unsaid, **comments}, nested=True)


def _line(key: str, value: Any, comment: str | None) -> str:
    return f"{_key(key)} = {_value(value)}" + (f"    # {' '.join(comment.split())}" if comment else "")


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    """A value as TOML writes it; a table without its None values."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    if isinstance(value, dict):
        present = [f"{_key(key)} = {_value(entry)}" for key, entry in value.items() if entry is not None]
        return f"{{ {', '.join(present)} }}"
    return str(value).lower() if isinstance(value, bool) else repr(value)
