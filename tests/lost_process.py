"""Started by torchrun in each of two processes, whose ends differ by the argument:

loses: the second is killed, and the first, which waits for it, takes long to clear up
goes on: the second is killed while the first doesn't wait for it
blocked: the first gets SIGTERM while it waits for the second, which never comes
first: the first is killed while the second doesn't wait for it
error: the second raises an error while the first doesn't wait for it
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from corpora.errors import TamizError
from tamiz.console import fail
from tamiz.trainer import grace
from tamiz.trainer.ranks import current, joined, mute_others

SLOW = 2.0  # seconds: torchrun looks ten times a second


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def ends(case: str, *, first: bool) -> None:
    """Where torchrun's signal finds this process asleep or waiting, `grace.SECONDS` are short."""
    if case == "loses":
        if not first:
            die(signal.SIGKILL)
        try:
            current().sum(1)
        finally:
            time.sleep(SLOW)
    grace.SECONDS = SLOW
    if case == "blocked" and first:
        threading.Timer(SLOW / 2, die, [signal.SIGTERM]).start()
        current().sum(1)
    if case == "error" and not first:
        raise TamizError("the cause")
    if case in ("goes on", "first") and first == (case == "first"):
        die(signal.SIGKILL)
    time.sleep(60)


if __name__ == "__main__":
    mute_others()
    try:
        with joined():
            current().sum(1)
            ends(sys.argv[1], first=current().first)
    except TamizError as error:
        fail(str(error))
        sys.exit(error.exit_code)
