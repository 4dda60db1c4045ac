"""Keeps the requests of this process below the Hub's published limits, and waits as long as the Hub asks."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Literal

from corpora.stopping import go_on

Resource = Literal["api", "resolvers"]

WINDOW = 300.0  # seconds, in which the Hub counts requests: https://huggingface.co/docs/hub/rate-limits
LIMITS: dict[tuple[Resource, bool], int] = {  # with a token, those of a free account
    ("api", False): 500, ("api", True): 1_000, ("resolvers", False): 3_000, ("resolvers", True): 5_000,
}  # fmt: skip
SHARE = 0.9  # of the limit: a browser or another tool of the same user has the rest
LONGEST_WAIT = WINDOW + 30  # seconds that a server may ask for
_LEFT = re.compile(r"\br\s*=\s*([0-9]{1,15})\s*;\s*t\s*=\s*([0-9]{1,15})(?![0-9])")  # `"api";r=0;t=55`


class Pace:
    """The requests of the last window. Safe in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[Resource, deque[float]] = {"api": deque(), "resolvers": deque()}
        self._not_before: dict[Resource, float] = {"api": 0.0, "resolvers": 0.0}
        self.counts: dict[Resource, int] = {"api": 0, "resolvers": 0}

    def wait(self, resource: Resource, *, with_token: bool) -> None:
        """Returns when a request may be sent, and counts it."""
        while (seconds := self._taken(resource, int(SHARE * LIMITS[resource, with_token]))) > 0:
            rest(seconds)

    def _taken(self, resource: Resource, limit: int) -> float:
        """Seconds to wait; 0 if the request was counted."""
        with self._lock:
            now, sent = time.monotonic(), self._sent[resource]
            while sent and sent[0] <= now - WINDOW:
                sent.popleft()
            until = max(self._not_before[resource], sent[-limit] + WINDOW if len(sent) >= limit else 0.0)
            if until > now:
                return until - now
            sent.append(now)
            self.counts[resource] += 1
            return 0.0

    def told(self, resource: Resource, headers: Mapping[str, str]) -> None:
        """The server's own count: with nothing left, the next request waits for its next window."""
        found = _LEFT.search(headers.get("ratelimit", ""))
        if found and int(found[1]) == 0:
            seconds = min(float(found[2]), LONGEST_WAIT)
            with self._lock:
                self._not_before[resource] = max(self._not_before[resource], time.monotonic() + seconds)


def asked(headers: Mapping[str, str]) -> float | None:
    """Seconds for which a refusing server asks to be left alone, however many; None if it doesn't say."""
    after = headers.get("retry-after", "").strip()
    found = _LEFT.search(headers.get("ratelimit", ""))
    if after.isascii() and after.isdigit():
        return float(after)
    return float(found[2]) if found else None


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """The same, but at most LONGEST_WAIT."""
    seconds = asked(headers)
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def rest(seconds: float) -> None:
    """Sleeps; ^C ends it soon in any thread."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        go_on()
        time.sleep(min(left, 0.25))
