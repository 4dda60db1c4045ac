"""What log.jsonl says of the command that made a folder. Torn lines, which a kill leaves, are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from corpora import manifest
from corpora.home import Home, Place


@dataclass
class Logged:
    """One command: its arguments and surroundings, and how its stages ended."""

    arguments: list[str]
    versions: dict[str, str]
    python: str
    machine: dict[str, Any]
    time: str
    states: list[str] = field(default_factory=list)
    gpu: str | None = None
    commands: int = 1  # in the log

    @property
    def worked(self) -> bool:
        """Whether it made something, and didn't only find it finished."""
        return any(state != "finished" for state in self.states)


def last_command(folder: Place) -> Logged | None:
    """The last command that made something in the folder, else the last one; None without a log."""
    commands: list[Logged] = []
    for event in _events(Home.of(folder)):
        if event.get("event") == "start":
            started = _started(event)
            commands += [started] if started else []
        elif event.get("event") == "finished" and commands:
            commands[-1].states.append(str(event.get("state")))
            commands[-1].gpu = event.get("gpu") or commands[-1].gpu
    if not commands:
        return None
    chosen = next((command for command in reversed(commands) if command.worked), commands[-1])
    chosen.commands = len(commands)
    return chosen


def _started(event: dict[str, Any]) -> Logged | None:
    try:
        return msgspec.convert({k: v for k, v in event.items() if k != "event"}, Logged)
    except msgspec.ValidationError:
        return None


def _events(home: Home) -> Iterator[dict[str, Any]]:
    try:
        lines = home.read_bytes(manifest.LOG).splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
