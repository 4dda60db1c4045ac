"""Time for a process to say why it ends. torchrun sends SIGTERM to all processes as soon as one has ended; this one
may just have noticed that, by a lost connection, and be on its way to say so.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

SECONDS = 10.0
_TO_SAY = 6.0  # more than others wait for the first process; torchrun sends SIGKILL after 30
_SAID = (
    b"error: SIGTERM: torchrun sends it when another process has ended, or when it is to end itself; "
    b"the same command continues from the last checkpoint\n"
)


class Grace:
    """Within the block, the main thread goes on for some seconds after SIGTERM; then the process ends with exit code
    143, wherever the main thread is, and says why. An error that leaves the block isn't cut short. Does nothing
    outside the main thread.

    says: whether this process is to say it; it may wait. is_caught: whether somebody else sees to the signal now.
    """

    def __init__(self, says: Callable[[], bool], is_caught: Callable[[], bool]) -> None:
        self._says, self._is_caught = says, is_caught
        self._is_on = self._received = False
        self._over = threading.Event()

    def __enter__(self) -> Grace:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            # a handler in Python waits until the main thread is back from torch; this descriptor is written at once
            self._read, self._written = os.pipe()
            os.set_blocking(self._written, False)
            self._fd_before = signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)
            self._before = signal.signal(signal.SIGTERM, self._handle)
            self._is_on = True
            os.register_at_fork(after_in_child=self._leave_to_parent)
            threading.Thread(target=self._watch, name="tamiz-grace", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        if self._is_on:
            self._is_on = False
            signal.signal(signal.SIGTERM, signal.SIG_IGN if kind else self._before or signal.SIG_DFL)
            signal.set_wakeup_fd(self._fd_before)
            os.close(self._written)  # which ends the thread

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        """In place of the default, which ends the process at once."""
        self._received = True

    def _leave_to_parent(self) -> None:
        if self._is_on:
            self._is_on = False
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _watch(self) -> None:
        while received := os.read(self._read, 1):
            if received[0] == signal.SIGTERM and (self._received or not self._is_caught()):
                if not self._over.wait(SECONDS):
                    self._end()
                break
        os.close(self._read)

    def _end(self) -> None:
        # in a thread of its own: it may wait, and fail where nobody reads stderr
        saying = threading.Thread(target=self._say, daemon=True)
        saying.start()
        saying.join(_TO_SAY)
        if not self._over.is_set():
            os._exit(128 + signal.SIGTERM)

    def _say(self) -> None:
        if self._says() and not self._over.is_set():
            os.write(2, _SAID)
