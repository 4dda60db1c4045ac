"""Choices that anyone can add to: samplers, objectives, model families, annotators, formats, stages.

A choice is one value or one settings class. It owns its name, its checks, its behaviour and its command-line flags;
lists, help texts and error messages derive from the registry. To add one, write a module that calls `register` and
name it in the environment variable TAMIZ_EXTENSIONS (commas between several), or in the entry points of an installed
package (group `tamiz.extensions`). docs/extending.md shows an example of each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

import msgspec

from corpora.errors import BadArgument, TamizError

T = TypeVar("T")

GROUP = "tamiz.extensions"
VARIABLE = "TAMIZ_EXTENSIONS"


@dataclass(frozen=True)
class Flag:
    """A command-line flag of one choice, or of several that share its name and meaning.

    name        as typed, such as `--width`; a yes/no flag may be `--roll/--no-roll`
    field       the settings field that it sets
    help        one sentence, ending with the default in square brackets
    kind        int, float, str or bool
    parse       str -> the field's value; raises ValueError saying what the text must be. None: `kind` alone
    metavar     the placeholder for the value in the help text
    """

    name: str
    field: str
    help: str
    kind: type = str
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None


class Choices(Generic[T]):
    """The choices of one kind, by name.

    what: the kind in messages, such as "objective". tag: the settings key that names the choice. builtin: name ->
    "module:attribute", imported when the choice is first needed.
    """

    def __init__(self, what: str, tag: str, builtin: Mapping[str, str]) -> None:
        self.what, self.tag = what, tag
        self._builtin = dict(builtin)
        self._found: dict[str, T] = {}

    def register(self, choice: T) -> T:
        """Adds a choice; usable as a class decorator. Its name is its msgspec tag, or its attribute `name`.

        A built-in choice, which is in `builtin` already, may register itself. Raises BadArgument if another choice
        has that name.
        """
        name = name_of(choice)
        known = self._found.get(name)
        builtin = self._builtin.get(name, "").partition(":")[0]
        if (builtin and builtin != _module(choice)) or (known is not None and not _same(known, choice)):
            raise BadArgument(f"{self.what} {name!r} exists already: choose another name")
        self._found[name] = choice
        return choice

    def unregister(self, name: str) -> None:
        """Removes a choice that was added. Raises KeyError for any other."""
        if name in self._builtin:
            raise KeyError(name)
        del self._found[name]

    def names(self) -> tuple[str, ...]:
        """The built-in names in their own order, then the added ones, sorted."""
        load_extensions()
        return (*self._builtin, *sorted(self._found.keys() - self._builtin.keys()))

    def get(self, name: str) -> T:
        """Raises BadArgument for an unknown name, listing the known ones."""
        if name not in self._found and name in self._builtin:
            module, _, attribute = self._builtin[name].partition(":")
            self._found[name] = getattr(import_module(module), attribute)
        if name not in self._found:
            load_extensions()
        if name not in self._found:
            raise BadArgument(f"{self.tag} is {name!r}; it must be one of {', '.join(self.names())}")
        return self._found[name]

    def _check_keys(self, name: str, kind: Any, settings: Mapping[str, Any]) -> None:
        """Raises ValidationError for a key that only other choices have; msgspec refuses keys that no choice has."""
        for key in sorted(settings.keys() - {self.tag, *kind.__struct_fields__}):
            if any(key in getattr(choice, "__struct_fields__", ()) for choice in self):
                raise msgspec.ValidationError(f"{key} does not apply to the {self.what} {name}: remove it")

    def __iter__(self) -> Iterator[T]:
        return (self.get(name) for name in self.names())

    def convert(self, settings: Mapping[str, Any], default: str | None = None) -> Any:
        """Settings of the class that `settings[tag]` names, or that `default` names if the key is missing.

        Raises BadArgument for an unknown name, msgspec.ValidationError for wrong keys or values.
        """
        name = settings.get(self.tag, default)
        if not isinstance(name, str):
            raise BadArgument(f"{self.tag} is {name!r}; it must be one of {', '.join(self.names())}")
        kind: Any = self.get(name)
        self._check_keys(name, kind, settings)
        return msgspec.convert({**settings, self.tag: name}, kind, strict=True)


def name_of(choice: Any) -> str:
    """The msgspec tag of a settings class or object, or the attribute `name` of anything else."""
    config = getattr(choice, "__struct_config__", None)
    name = config.tag if config is not None and config.tag is not None else getattr(choice, "name", None)
    if not isinstance(name, str) or not name:
        raise BadArgument(f"{choice!r} has no name: give it a msgspec tag, or an attribute `name`")
    return name


def _module(choice: Any) -> str:
    """The module that defines a class, or the class of a value."""
    return str(getattr(choice, "__module__", ""))


def _same(known: Any, choice: Any) -> bool:
    """Whether it is the same choice: a module imported twice (once as __main__) registers it twice."""
    return bool(getattr(known, "__qualname__", known) == getattr(choice, "__qualname__", choice))


_loaded: set[str] = set()


def load_extensions() -> None:
    """Imports every extension module, once. Raises BadArgument for one that can't be imported, naming it."""
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        _load(name, f"{VARIABLE}={name}")
    if GROUP not in _loaded:
        _loaded.add(GROUP)
        from importlib.metadata import entry_points

        for point in entry_points(group=GROUP):
            _load(point.value.partition(":")[0], f"the entry point {point.name} of {GROUP}")


def _load(module: str, named_by: str) -> None:
    if module in _loaded:
        return
    _loaded.add(module)
    try:
        import_module(module)
    except BaseException as error:  # whatever its own code does
        _loaded.discard(module)  # so that the next call doesn't go on without it
        if isinstance(error, ImportError):
            raise BadArgument(f"{named_by}: {error}; install it, or put its folder on PYTHONPATH") from error
        if isinstance(error, TamizError):
            raise BadArgument(f"{named_by}: {error}") from error
        if isinstance(error, KeyboardInterrupt):
            raise
        raise BadArgument(f"{named_by} can't be imported: {type(error).__name__}: {error}") from error
