"""Waits while another process fetches the file that this one wants: not in silence, and not for ever.

A process that was stopped, or hangs, keeps its lock. While the part of the file grows, all is well.
"""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

from corpora.hub.pacing import rest

_LOG = logging.getLogger(__name__)
SAID = 60.0  # seconds in which the part doesn't grow, until it is said who is waited for, and again after as many
GIVEN_UP = 300.0  # and until the file is fetched beside the other process. Both fetch the same bytes
_PAUSE = 0.2


class Waiting:
    """part: the file in which the content that will be `path` is fetched; another one after each wait in vain."""

    def __init__(self, path: Path) -> None:
        self._path, self._turn = path, 0
        self._next_part()

    def _next_part(self) -> None:
        self._turn += 1
        self.part = self._path.with_name(f"{self._path.name}.part{self._turn if self._turn > 1 else ''}")
        self._bytes, self._since, self._say_after = -1, 0.0, SAID

    def a_moment(self) -> None:
        """After a look that found the part locked."""
        rest(_PAUSE)
        now, there = time.monotonic(), _bytes(self.part)
        if there != self._bytes:
            self._bytes, self._since, self._say_after = there, now, SAID
        quiet = now - self._since
        if quiet >= GIVEN_UP:
            _LOG.warning(
                "%s: %s has added nothing for %.0f s: fetching it anew", self.part, _holder(self.part), quiet
            )
            self._next_part()
        elif quiet >= self._say_after:
            _LOG.warning(
                "%s: waiting for %s, which fetches it; nothing new for %.0f s", self.part, _holder(self.part), quiet
            )
            self._say_after += SAID


def _bytes(part: Path) -> int:
    """-1 if there is none."""
    try:
        return part.stat().st_size
    except OSError:
        return -1


def _holder(part: Path) -> str:
    """Who has the lock, as far as this machine's kernel tells: a part on a shared disk may be another machine's."""
    try:
        inode, locks = part.stat().st_ino, Path("/proc/locks").read_text()
    except OSError:
        return "another process"
    found = re.search(rf"FLOCK +ADVISORY +WRITE +([1-9]\d*) [0-9a-f]+:[0-9a-f]+:{inode} ", locks)
    return f"the process with pid {found[1]}" if found else "another process"
