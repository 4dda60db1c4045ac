"""How often something is tried on the Hub, how long is waited in between, and what the last failure says."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from corpora.errors import Unreachable
from corpora.hub.pacing import rest
from corpora.stopping import go_on

_LOG = logging.getLogger(__name__)
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses after which another try is worth it


class Fault(Exception):
    """A failure that may pass: another try is worth it. wait: seconds that the server asks for."""

    def __init__(
        self, message: str, *, status: int | None = None, wait: float | None = None, no_route: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.wait, self.no_route = status, wait, no_route


@dataclass(frozen=True)
class Patience:
    """The bounds of waiting, in seconds and tries."""

    connect: float = 10
    read: float = 30
    """without a byte"""
    tries: int = 8
    """in a row, without progress"""
    first_pause: float = 1.0
    longest_pause: float = 30
    total: float = 900
    """without progress, the pauses that a server asks for included"""
    no_route_tries: int = 3
    """before the Hub was ever reached: most likely there is no network, which waiting doesn't cure"""
    no_route_pause: float = 0.5


PATIENCE = Patience()
PROGRESS = 1 << 20  # bytes of a file that count as progress
SLOW_SECONDS, SLOW_BYTES = 60, 64 << 10  # fewer bytes in so many seconds: the connection is as good as dead

# Jitter, so that the workers of a cluster don't come back all at once. It decides about no byte of any output.
_jitter = random.Random()


class Tries:
    """The failures of one request or one download. what: for messages. url: without token or query."""

    def __init__(self, what: str, url: str, patience: Patience, *, hopeless_without_route: bool = False) -> None:
        self._what, self._url, self._patience = what, url, patience
        self._hopeless_without_route = hopeless_without_route
        self._failed = self._in_a_row = 0
        self._since = 0.0

    def progressed(self) -> None:
        self._in_a_row = 0

    def failed(self, fault: Fault, got: str = "") -> None:
        """Waits before the next try. Raises Unreachable, which says what failed, if there is none.

        got: what arrived, for the message.
        """
        self._failed += 1
        self._in_a_row += 1
        if self._in_a_row == 1:
            self._since = time.monotonic()
        patience = self._patience
        no_route = fault.no_route and self._hopeless_without_route
        most = patience.no_route_tries if no_route else patience.tries
        pause = self._pause(fault, patience.no_route_pause if no_route else patience.first_pause)
        waited = time.monotonic() - self._since
        if self._in_a_row >= most or waited + pause > patience.total:
            raise Unreachable(self._message(fault, got)) from None
        _LOG.debug("%s: %s; again in %.1f s", self._url, fault, pause)
        rest(pause)

    def _pause(self, fault: Fault, first: float) -> float:
        if fault.wait is not None:
            return fault.wait + _jitter.uniform(0, 0.1 * fault.wait)
        longest = min(first * 2.0 ** (self._in_a_row - 1), self._patience.longest_pause)
        return _jitter.uniform(0.5, 1) * longest

    def _message(self, fault: Fault, got: str) -> str:
        tried = f"tried {self._failed} times" if self._failed > 1 else "tried once"
        advice = "check the network, or run the same command again later: it continues"
        return f"can't {self._what} ({self._url}): {fault}; {tried}{f', {got}' if got else ''}: {advice}"


def steady(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces. Raises Fault if they only trickle, so that no time-out between two of them would ever end it."""
    begun, received = time.monotonic(), 0
    for piece in pieces:
        go_on()
        yield piece
        received += len(piece)
        if (now := time.monotonic()) - begun > SLOW_SECONDS:
            if received < SLOW_BYTES:
                raise Fault(f"only {received:,} bytes arrived in {now - begun:.0f} s")
            begun, received = now, 0
