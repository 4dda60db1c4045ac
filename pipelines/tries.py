"""A unit that ends its process (a native crash, memory) or stands still is tried again, then set aside.

Before the work on a unit, a small file beside its note says that it has begun; afterwards it is removed. So a unit
that has such a file ended its worker, or was at work when something else did. It is tried again in a process of its
own, whose end is the unit's alone: a kill of workers, engines or runs never counts against a unit. After TRIES tries
it is set aside: its result is that of an empty item, and its input counts as damaged, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.home import Home
from pipelines.isolated import Ended, work_apart
from pipelines.notes import Desk, Unit, write_lightly
from pipelines.once import ItemResult, ItemWork, answer, once, record

SET_ASIDE = "set aside after"  # so begins the damage of such an item
TRIES = 3  # the first in a worker, the others in a process of their own


class Tries(msgspec.Struct):
    """begun: whether a worker began the unit and didn't end it. ended: how its own processes ended."""

    begun: bool = False
    ended: list[str] = []


def attempt(work: ItemWork, unit: Unit, desk: Desk, stall: float, alive: Callable[[], None]) -> ItemResult:
    """The unit's result: recorded, of the work done now, or of a unit that is set aside.

    stall: seconds without a sign of progress after which its own process is ended. alive: called while that runs.
    """
    result = answer(work, unit, desk.notes)
    if result is not None:
        return result
    home, name = desk.home, desk.tries(unit)
    tries = _read(home, name)
    if not tries.begun:
        _write(home, name, Tries(begun=True))
        try:
            result = once(work, unit, desk.notes)
        finally:  # it has ended, whatever it raised: this process lives
            home.remove(name)
        return result
    return _again(work, unit, desk, tries, stall, alive)


def _again(
    work: ItemWork, unit: Unit, desk: Desk, tries: Tries, stall: float, alive: Callable[[], None]
) -> ItemResult:
    home, name = desk.home, desk.tries(unit)
    while len(tries.ended) + 1 < TRIES:
        try:
            result = work_apart(work, unit, desk.notes, stall, alive)
        except Ended as ended:
            tries.ended.append(str(ended))
            _write(home, name, tries)
            continue
        home.remove(name)
        return result
    return _set_aside(work, unit, desk, tries.ended[-1])


def _set_aside(work: ItemWork, unit: Unit, desk: Desk, reason: str) -> ItemResult:
    """The result of the work on nothing, under the unit's name. Raises TamizError for a part, which all need."""
    said = f"{SET_ASIDE} {TRIES} tries: {reason}"
    if not isinstance(unit, WorkItem):
        raise TamizError(f"{unit.path} can't be done ({said}); the same command tries it again")
    nothing = msgspec.structs.replace(
        unit, path=os.devnull, format="jsonl", compression="", start=0, end=0, size=0, commit=None, glimpsed=None
    )
    place = "" if unit.name == unit.input_name else f" ({unit.name.removeprefix(unit.input_name)[1:]})"
    result = msgspec.structs.replace(work(nothing), damage=f"{said}{place}")
    record(work, unit, result, desk.notes)
    desk.home.write_bytes(f"{desk.run}/aside/{unit.name}", reason.encode())
    return result


def _read(home: Home, name: str) -> Tries:
    try:
        return msgspec.json.decode(home.read_bytes(name), type=Tries)
    except FileNotFoundError:
        return Tries()
    except (msgspec.MsgspecError, UnicodeDecodeError):  # cut by a kill: it had begun
        return Tries(begun=True)


def _write(home: Home, name: str, tries: Tries) -> None:
    write_lightly(home, name, msgspec.json.encode(tries))
