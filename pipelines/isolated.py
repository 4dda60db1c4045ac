"""Work on one unit in a process of its own, which may crash, be killed or stand still: it harms nobody else.

python -m pipelines.isolated    reads the pickled work from stdin, writes a dot a second and then what it raised
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpora.errors import TamizError, by_name
from corpora.stopping import Stopped, go_on, working
from pipelines.notes import Unit
from pipelines.once import ItemResult, ItemWork, once, read_note

_BEAT = 1.0  # seconds between two dots, if the unit moves
_START = 120.0  # seconds for Python to start, on a machine that is busy
_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Ended(Exception):
    """How the process ended, if not with a result or an exception of the unit."""


def work_apart(work: ItemWork, unit: Unit, notes: str, stall: float, alive: Callable[[], None]) -> ItemResult:
    """The unit's result, recorded by its process. Raises what the unit raises, as a TamizError; Ended; Stopped."""
    from apache_beam.internal.cloudpickle import cloudpickle

    given = cloudpickle.dumps((work, unit, notes))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.isolated"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    try:
        with contextlib.suppress(BrokenPipeError):  # it ended at once: see below
            _feed(process, given)
        said = _listen(process, stall, alive)
    finally:
        process.kill()
        code = process.wait()
    if said:
        kind, message = json.loads(said)
        raise by_name(kind)(message)
    if code:
        raise Ended(_cause(code))
    result = read_note(work, unit, notes)
    if result is None:
        raise Ended("its process left no result")
    return result


def _feed(process: subprocess.Popen[bytes], given: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(given)
    process.stdin.close()


def _listen(process: subprocess.Popen[bytes], stall: float, alive: Callable[[], None]) -> bytes:
    """What the process says besides its dots. Raises Ended if there is nothing for `stall` seconds."""
    assert process.stdout is not None
    said, quiet, bound = b"", 0.0, max(stall, _START)
    while quiet < bound:
        go_on()
        alive()
        before = time.monotonic()
        if select.select([process.stdout], [], [], _BEAT)[0]:
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                process.stdout.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                return said
            said, quiet, bound = said + data.lstrip(b"."), 0.0, stall
        else:
            quiet += min(time.monotonic() - before, 2 * _BEAT)  # this process may have been stopped itself
    raise Ended(f"no progress for {minutes(bound)}")


def minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} s"


def _cause(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed by SIGKILL, as the kernel does where memory runs out"
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _main() -> int:
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no message
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)
    work, unit, notes = pickle.load(sys.stdin.buffer)
    moved = threading.Event()
    out.write(b".")
    threading.Thread(target=_beat, args=(out, moved), daemon=True).start()
    try:
        with working(threading.Event(), moved.set):
            once(work, unit, notes)
    except TamizError as error:
        out.write(json.dumps([type(error).__name__, str(error)]).encode())
    except (Stopped, KeyboardInterrupt):
        return 1
    except Exception as error:
        said: Any = ["TamizError", f"{unit.path}: {type(error).__name__}: {error}"]
        out.write(json.dumps(said).encode())
    return 0


def _beat(out: Any, moved: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while True:
            time.sleep(_BEAT)
            if moved.is_set():
                moved.clear()
                out.write(b".")


if __name__ == "__main__":
    sys.exit(_main())
