"""The log of a run: OUT/log.jsonl, one JSON object per line. Every command that has --out appends to it.

Each line has `time` (UTC) and `event`:

    start      the command starts: versions of tamiz, Python and the libraries; machine; command line without secrets
    stage      a stage starts
    finished   a stage ends: state, seconds (in a run also cpu_seconds, of all threads and child processes, and
               peak_memory_bytes), counts, damaged input files; gpu, if torch was loaded
    warning    a warning, as shown
    error      class and message; for an unexpected error also where it was raised
    end        the command ends: exit code and seconds

Events are kept in memory until tamiz has claimed the output folder, so a mistyped --out leaves nothing behind.
`tamiz lm train` writes LM.log.jsonl next to LM.bin. Texts of documents and secrets are never written.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

_log = logging.getLogger(__name__)
_SECRET_NAME = re.compile(r"-*([\w.-]+[-_.])?(tokens?|secret|password|credentials?|key)([-_][\w-]+)?", re.IGNORECASE)
# a token of the Hub; what stands before the host of an address, a password with slashes, too
_SECRET_VALUE = re.compile(r"""hf_\w{8,}|(?<=://)(?:[^/@\s:"\\]+:[^@\s"\\]+|[^/@\s"\\]+)(?=@)""")
# name=value inside of a value: an address's query, variables for workers, JSON
_SECRET_PAIR = re.compile(
    r"""((?:token|secret|password|passwd|key|signature|\bsig|credentials?)["']?\s*[=:]\s*["']?)[^\s"',;&}\\]+""",
    re.IGNORECASE,
)
HIDDEN = "***"
_LONGEST = 300  # characters of the message of an unexpected error, which may quote its input


class Report(Protocol):
    """The parts of a stage's report that the log uses."""

    @property
    def stage(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def folder(self) -> Any: ...

    @property
    def damaged(self) -> Sequence[str]: ...

    @property
    def facts(self) -> dict[str, Any]: ...


class RunLog:
    """The events of this process, and the file to append them to."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._far: Any = None  # the folder in a store, whose log is written as a whole
        self._is_ready: Callable[[], bool] = lambda: False
        self._waiting: list[dict[str, Any]] = []
        self._ended: set[str] = set()
        self._on = False
        self._begun = time.monotonic()

    def start(self, arguments: Sequence[str]) -> None:
        """Starts the log of a command. Events before that are dropped."""
        self.__init__()  # type: ignore[misc]
        self._on = True
        self.event("start", arguments=without_secrets(arguments))

    def off(self) -> None:
        """Ends the log without writing it: another process of the command does."""
        self._waiting.clear()
        self._on = False

    def in_folder(self, place: Any) -> None:
        """Puts the log into a folder, once that has a manifest."""
        from corpora.home import Home
        from corpora.manifest import LOG, is_tamiz_folder

        home = Home.of(place)
        self._is_ready = lambda: is_tamiz_folder(home)
        self._file, self._far = (home.folder / LOG, None) if home.is_local else (Path(LOG), home)

    def beside(self, lm: Path) -> None:
        """Puts the log next to a language model's file, once its training has started."""
        from corpora.manifest import LOG

        self._file, self._is_ready = lm.with_suffix(f".{LOG}"), lm.parent.is_dir

    def event(self, name: str, **fields: Any) -> None:
        if not self._on:
            return
        _log.debug("%s %s", name, fields)
        self._waiting.append({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name, **fields})

    def flush(self) -> None:
        """Writes the events kept in memory, if the log has a place yet."""
        if not self._waiting or self._file is None or not self._has_place():
            return
        lines = "".join(_line(event) for event in self._waiting)
        self._waiting.clear()
        if self._far is not None:
            self._append_far(lines)
            return
        try:
            _mend(self._file)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            self._on = False
            _log.warning("can't write %s: %s; the run goes on without a log", self._file, error.strerror)

    def _has_place(self) -> bool:
        from corpora.errors import TamizError

        try:
            return self._is_ready()
        except TamizError:  # of a store: the command itself says it
            self._file = None
            return False

    def _append_far(self, lines: str) -> None:
        """A store has no appending: the log is read and written again, which is one request each."""
        from corpora.errors import TamizError
        from corpora.manifest import LOG

        try:
            before = self._far.read_bytes(LOG) if self._far.exists(LOG) else b""
            self._far.write_bytes(LOG, before + lines.encode())
        except (TamizError, OSError) as error:
            self._on = False
            _log.warning("can't write %s: %s; the run goes on without a log", self._far.at(LOG), error)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Callable[[Report], None]]:
        """Logs a stage of a run. The block must call the yielded function with the stage's report."""
        from corpora import usage

        begun, used = time.monotonic(), usage.cpu_seconds()
        ended: list[Report] = []
        self.event("stage", stage=name)
        self.flush()
        with usage.Peak() as peak:
            yield ended.append
        taken = {"cpu_seconds": round(usage.cpu_seconds() - used, 3), "peak_memory_bytes": peak.bytes}
        for report in ended:
            self.finished(report, time.monotonic() - begun, taken)

    def finished(self, report: Report, seconds: float | None = None, taken: dict[str, float] | None = None) -> None:
        """Logs the end of a stage, once. seconds: None for the time since the command started. taken: what else it
        took."""
        if report.stage in self._ended:
            return
        self._ended.add(report.stage)
        lasted = time.monotonic() - self._begun if seconds is None else seconds
        more = {"damaged": list(report.damaged)} if report.damaged else {}
        self.event(
            "finished",
            stage=report.stage,
            state=report.state,
            folder=str(report.folder),
            seconds=round(lasted, 3),
            **(taken or {}),
            counts=_counts(report),
            **more,
            **_gpu(),
        )
        self.flush()

    def error(self, error: BaseException, *, expected: bool) -> None:
        from corpora.errors import Unreachable

        text = str(error)
        fields: dict[str, Any] = {"class": type(error).__name__, "message": text if expected else text[:_LONGEST]}
        if not expected:
            frames = traceback.extract_tb(error.__traceback__)
            fields["traceback"] = [f"{f.filename}:{f.lineno} {f.name}: {f.line}" for f in frames]
        self.event("error", **fields)
        if self._far is not None and isinstance(error, Unreachable):
            self._file = None  # to ask the store once more would take minutes

    def end(self, code: int) -> None:
        """Logs the end of the command. A command that was refused before any work (exit code 2) leaves no log."""
        self.event("end", exit_code=code, seconds=round(time.monotonic() - self._begun, 3))
        if code != 2:
            self.flush()
        self._on = False


log = RunLog()


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """The command line with the values of options such as --hf_token, and values that look like tokens, removed."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        secret = _SECRET_NAME.fullmatch(option) is not None
        if hide_next and not argument.startswith("--"):
            shown.append(HIDDEN)
        elif secret and equals:
            shown.append(f"{option}={HIDDEN}")
        else:
            shown.append(without_secret(argument))
        hide_next = secret and not equals and argument.startswith("-")
    return shown


def without_secret(text: str) -> str:
    return _SECRET_PAIR.sub(rf"\1{HIDDEN}", _SECRET_VALUE.sub(HIDDEN, text))


def _mend(path: Path) -> None:
    """Ends the last line of a log that a killed command, or a full disk, left torn: removes it unless it is whole."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        begin = content.rfind(b"\n") + 1
        if begin == len(content):
            return
        try:
            json.loads(content[begin:])
        except ValueError:
            file.truncate(begin)
        else:
            file.write(b"\n")


def _line(event: dict[str, Any]) -> str:
    if event["event"] == "start":
        event = {**event, **_surroundings()}
    if "message" in event:
        event = {**event, "message": without_secret(event["message"])}
    if "damaged" in event:
        event = {**event, "damaged": [without_secret(text) for text in event["damaged"]]}
    return _SECRET_VALUE.sub(HIDDEN, json.dumps(event, ensure_ascii=False)) + "\n"


def _surroundings() -> dict[str, Any]:
    from corpora.manifest import package_versions

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    machine = {"cores": os.cpu_count(), "memory_bytes": memory, "system": platform.platform()}
    return {"versions": package_versions(), "python": platform.python_version(), "machine": machine}


def _gpu() -> dict[str, str]:
    torch: Any = sys.modules.get("torch")  # the log never imports it
    return {"gpu": torch.cuda.get_device_name()} if torch is not None and torch.cuda.is_available() else {}


def _counts(report: Report) -> dict[str, Any]:
    from corpora import manifest
    from corpora.home import Home

    if Home.of(report.folder).exists(manifest.NAME):
        return manifest.read(report.folder).counts
    found: dict[str, Any] = report.facts.get("documents", {}) if report.stage == "lm" else {}
    return found
