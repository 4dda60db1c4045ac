"""Command-line options derived from a registry: the choice itself, and the flags that each choice owns.

A command doesn't list choices or their flags by hand:

    @choice_option(METHODS, "--method", default="gaussian")
    @choice_flags(METHODS)
    def command(method: str, seed: int, **flags: Any) -> None:
        settings = chosen(METHODS, method, flags, {"seed": seed})
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from corpora.choices import Choices, Flag, name_of
from corpora.errors import BadArgument

F = TypeVar("F", bound=Callable[..., Any])


def choice_option(choices: Choices[Any], name: str, *, default: str | None = None) -> Callable[[F], F]:
    """The option that names a choice, required unless it has a default. Its help lists the choices' summaries."""
    summaries = [f"{name_of(choice)}: {_summary(choice)}" for choice in choices if _summary(choice)]
    return click.option(
        name, type=click.Choice(choices.names()), default=default, required=default is None,
        show_default=default is not None, help="; ".join(summaries) + "." if summaries else None,
    )  # fmt: skip


def choice_flags(choices: Choices[Any]) -> Callable[[F], F]:
    """Adds one option for each distinct flag of all choices; its value is None if it isn't given.

    A choice lists its flags in an attribute `flags`. The function takes each as the keyword that click derives from
    the flag's name (`--keep-buckets`: keep_buckets); pass them all to `chosen`. Put this decorator above the
    command's other options: a flag with the same name as one of them is refused (BadArgument).
    """

    def decorate(function: F) -> F:
        taken = {text for param in getattr(function, "__click_params__", ()) for text in param.opts}
        for name, owners in reversed(_owners(choices).items()):  # click lists the last one applied first
            if name in taken:
                raise BadArgument(f"{name} of the {choices.what} {_listed(owners)} is already an option: rename it")
            function = _option(choices, name, owners)(function)
        return function

    return decorate


def chosen(choices: Choices[Any], name: str, values: Mapping[str, Any], common: Mapping[str, Any]) -> Any:
    """Creates the settings of choice `name` from the values of the `choice_flags` options and of shared settings.

    None keeps the default. Raises BadArgument for an unknown name, a flag that belongs only to other choices, a value
    that can't be parsed or is out of bounds, or a missing required field.
    """
    settings = {key: value for key, value in common.items() if value is not None}
    fields = {}
    choices.get(name)
    for flag_name, owners in _owners(choices).items():
        value = values.get(_keyword(flag_name))
        if name in owners:
            fields[owners[name].field] = flag_name
        if value is None:
            continue
        flag = owners.get(name) or next(iter(owners.values()))
        parsed = _parsed(flag, value)  # first of all: a value that no choice can parse is reported as such
        if name not in owners:
            raise BadArgument(f"{_typed(flag_name, value)} is for {_listed(owners)}, not {name}: leave it out")
        settings[flag.field] = parsed
    try:
        return choices.convert({**settings, choices.tag: name})
    except (msgspec.ValidationError, ValueError) as error:
        raise BadArgument(_in_flags(str(error), fields, f"{choices.what} {name}")) from None


def _owners(choices: Choices[Any]) -> dict[str, dict[str, Flag]]:
    """Flag name -> choice name -> how that choice describes the flag; both in the order of the choices."""
    found: dict[str, dict[str, Flag]] = {}
    for choice in choices:
        for flag in getattr(choice, "flags", ()):
            found.setdefault(flag.name, {})[name_of(choice)] = flag
    return found


def _option(choices: Choices[Any], name: str, owners: Mapping[str, Flag]) -> Callable[[F], F]:
    kinds = {str if flag.parse else flag.kind for flag in owners.values()}
    if bool in kinds and len(kinds) > 1:
        raise BadArgument(f"{name} is a yes/no flag in one {choices.what} of {_listed(owners)} only: rename one")
    declaration = f"{name}/--no-{name.removeprefix('--')}" if kinds == {bool} else name
    metavar = next((flag.metavar for flag in owners.values() if flag.metavar), None)
    return click.option(
        declaration, type=kinds.pop() if len(kinds) == 1 else str, default=None, metavar=metavar,
        help=_help(owners, everyone=len(owners) == len(choices.names())),
    )  # fmt: skip


def _help(owners: Mapping[str, Flag], *, everyone: bool) -> str:
    """The help texts, each preceded by the choices that it applies to; equal texts appear once."""
    texts: dict[str, list[str]] = {}
    for name, flag in owners.items():
        texts.setdefault(flag.help, []).append(name)
    if everyone and len(texts) == 1:
        return next(iter(texts))
    return " ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())


def _parsed(flag: Flag, value: Any) -> Any:
    """Raises BadArgument naming the flag and its text."""
    try:
        if flag.parse is not None:
            return flag.parse(value)
        return value if isinstance(value, flag.kind) else flag.kind(value)
    except ValueError as error:
        raise BadArgument(f"{flag.name} {value!r}: {error}") from None


def _in_flags(message: str, fields: Mapping[str, str], choice: str) -> str:
    """Rewrites msgspec's message for the command line: flags instead of fields and paths. fields: field -> flag."""
    missing = re.fullmatch(r"Object missing required field `(\w+)`.*", message)
    if missing:
        return f"{fields.get(missing[1], _dashed(missing[1]))} is missing: {choice} needs it"
    path = re.fullmatch(r"(.*) - at `\$(?:\.(\w+))?.*`", message, re.DOTALL)
    if path:
        message = f"{fields.get(path[2], _dashed(path[2]))}: {path[1]}" if path[2] else path[1]
    spoken = {field: flag.removeprefix("--") for field, flag in fields.items()}
    return re.sub(r"(?<!-)\b[a-z]\w*\b", lambda word: spoken.get(word[0], word[0].replace("_", "-")), message)


def _dashed(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _keyword(name: str) -> str:
    return name.removeprefix("--").replace("-", "_")


def _typed(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"--no-{name.removeprefix('--')}"
    return f"{name} {value}"


def _listed(names: Mapping[str, Any]) -> str:
    return " and ".join(names)


def _summary(choice: Any) -> str:
    return (choice.__doc__ or "").strip().partition("\n")[0].rstrip(".")
