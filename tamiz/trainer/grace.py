"""Time for a process to say why it ends. torchrun sends SIGTERM to all processes as soon as one has ended; this one
may just have noticed that, by a lost connection, and be on its way to say so.

Within a step, `signals.py` catches the signal; this is for all else.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

SECONDS = 10.0  # torchrun sends SIGKILL after 30
_SAID = (
    b"error: SIGTERM: torchrun sends it when another process has ended, or when it is to end itself; "
    b"the same command continues from the last checkpoint\n"
)


class Grace:
    """Within the block, the main thread goes on for some seconds after SIGTERM; then the process ends with exit code
    143, and says why. An error that leaves the block is never cut short. Does nothing outside the main thread.

    says: whether this process is the one that prints.
    """

    def __init__(self, *, says: bool) -> None:
        self._says = says
        self._before: Any = None
        self._over = threading.Event()

    def __enter__(self) -> Grace:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGTERM, self._received)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        if self._before is not None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN if kind else self._before)

    def _received(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._end, args=(number,), name="tamiz-grace", daemon=True).start()

    def _end(self, number: int) -> None:
        if not self._over.wait(SECONDS):
            if self._says:
                os.write(2, _SAID)
            os._exit(128 + number)
