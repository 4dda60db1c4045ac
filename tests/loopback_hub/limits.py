"""The Hub's rate limits: a number of requests per fixed window, in the buckets "api" and "resolvers"."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from tests.loopback_hub.answers import Answer


@dataclass
class Limit:
    requests: int
    seconds: float
    started: float = field(default_factory=time.monotonic)
    used: int = 0

    def count(self, bucket: str) -> tuple[Answer | None, dict[str, str]]:
        """A refusal when the window's requests are used up, and the headers of any answer."""
        now = time.monotonic()
        if now >= self.started + self.seconds:
            self.started, self.used = now, 0
        self.used += 1
        left = math.ceil(self.started + self.seconds - now)
        headers = {
            "RateLimit": f'"{bucket}";r={max(0, self.requests - self.used)};t={left}',
            "RateLimit-Policy": f'"fixed window";"{bucket}";q={self.requests};w={math.ceil(self.seconds)}',
        }
        if self.used > self.requests:
            return Answer(429, b'{"error": "Too Many Requests"}', dict(headers)), headers
        return None, headers


def bucket_of(path: str) -> str:
    if path.startswith("/api/"):
        return "api"
    return "resolvers" if "/resolve/" in path else ""
