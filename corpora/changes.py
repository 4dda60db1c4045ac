"""Says how settings and inputs differ: only what differs, by dotted path, in a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST = 8  # settings that are named
MOST_INPUTS = 3  # inputs of each kind that are named
LONGEST = 60  # characters of a value

_ABSENT = object()


def differences(old: Any, new: Any) -> str:
    """`train.batch_size: 128 -> 16; denoisers[1].mean_span: 3 -> 8`, or nothing.

    Tuples equal lists, and a key that is absent equals null: settings that are left out have their defaults.
    """
    return _joined([f"{path}: {_value(a)} -> {_value(b)}" for path, a, b in _different(old, new, "")], MOST, "; ")


def input_differences(old: Iterable[Sequence[object]], new: Iterable[Sequence[object]]) -> str:
    """`input changed: a.jsonl; new: b.jsonl; gone: c.jsonl`, or nothing.

    old, new: names, each with its content and, if it isn't read in the default way, JSON text that says how.
    """
    before, after = _by_name(old), _by_name(new)
    changed = [name for name in after if name in before and before[name] != after[name]]
    read = {name: how for name in changed if (how := _read_otherwise(before[name], after[name]))}
    kinds = {
        "changed": [name for name in changed if name not in read],
        "read in another way": [f"{name} ({how})" for name, how in read.items()],
        "new": [name for name in after if name not in before],
        "gone": [name for name in before if name not in after],
    }
    told = [f"{kind}: {some_inputs(names)}" for kind, names in kinds.items() if names]
    return "input " + "; ".join(told) if told else ""


def some_inputs(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    return _joined(sorted(names), MOST_INPUTS, ", ")


def _read_otherwise(old: list[str], new: list[str]) -> str:
    """How two lone inputs of equal bytes are read differently, or nothing."""
    if len(old) != 1 or len(new) != 1:
        return ""
    (before, *was), (after, *now) = json.loads(old[0]), json.loads(new[0])
    if before != after:
        return ""
    return differences(*(json.loads(how[0]) if how else {} for how in (was, now)))


def _different(old: Any, new: Any, path: str) -> list[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = sorted({*old, *new})
        below = [(name, old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in names]
        return [d for name, a, b in below for d in _different(a, b, f"{path}.{name}" if path else str(name))]
    if _is_list(old) and _is_list(new) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [d for n, (a, b) in pairs for d in _different(a, b, f"{path}[{n}]")]
    return [] if _plain(old) == _plain(new) else [(path, old, new)]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _plain(value: Any) -> str:
    """Equal for values that JSON doesn't distinguish; 1, 1.0 and true differ."""
    return json.dumps(None if value is _ABSENT else value, sort_keys=True, default=repr)


def _value(value: Any) -> str:
    text = "default" if value is _ABSENT else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _by_name(contents: Iterable[Sequence[object]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, *content in contents:
        found.setdefault(str(name), []).append(json.dumps(content))
    return {name: sorted(values) for name, values in found.items()}


def _joined(parts: Sequence[str], most: int, separator: str) -> str:
    more = len(parts) - most
    return separator.join(parts[:most]) + (f" and {more} more" if more > 0 else "")
