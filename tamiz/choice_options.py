"""Command-line options that derive from a registry: the choice itself, and the flags that each choice owns.

A command lists no choice and no choice's flag by hand:

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
    """The option that names a choice; required unless it has a default. Help: each choice's first docstring line."""
    summaries = [f"{name_of(choice)}: {_summary(choice)}" for choice in choices if _summary(choice)]
    return click.option(
        name, type=click.Choice(choices.names()), default=default, required=default is None,
        show_default=default is not None, help="; ".join(summaries) + "." if summaries else None,
    )  # fmt: skip


def choice_flags(choices: Choices[Any]) -> Callable[[F], F]:
    """One option for every distinct flag of all choices; None where it isn't given.

    A choice lists its flags in an attribute `flags`. The function takes each as the keyword that click derives from
    the flag's name (`--keep-buckets`: keep_buckets); pass them all to `chosen`. Put this decorator above the
    command's other options: a flag that is one of those already is refused (BadArgument).
    """

    def decorate(function: F) -> F:
        taken = {text for param in getattr(function, "__click_params__", ()) for text in param.opts}
        for name, owners in reversed(_owners(choices).items()):  # click lists the last one applied first
            if name in taken:
                raise BadArgument(f"{name} of the {choices.what} {_listed(owners)} is an option already: rename it")
            function = _option(choices, name, owners)(function)
        return function

    return decorate


def chosen(choices: Choices[Any], name: str, values: Mapping[str, Any], common: Mapping[str, Any]) -> Any:
    """The settings of choice `name`, from the values of `choice_flags`' options and keys that all choices share.

    A value that is None leaves the default. Raises BadArgument for an unknown name, a flag that belongs to other
    choices only, a text that a flag can't parse, a bound, or a required field that is missing.
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
        if name not in owners:
            raise BadArgument(f"{_typed(flag_name, value)} is for {_listed(owners)}, not {name}: leave it out")
        settings[owners[name].field] = _parsed(owners[name], value)
    try:
        return choices.convert({**settings, choices.tag: name})
    except (msgspec.ValidationError, ValueError) as error:
        raise BadArgument(_in_flags(str(error), fields, f"{choices.what} {name}")) from None


def _owners(choices: Choices[Any]) -> dict[str, dict[str, Flag]]:
    """Name of a flag -> name of a choice -> that choice's own description of the flag; both in the choices' order."""
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
    """Equal texts once, each after the choices that it is for."""
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
    """msgspec's words in those of the command line: flags in place of fields and paths. fields: field -> flag."""
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
