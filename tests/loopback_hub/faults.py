"""Faults on demand: which requests they strike, and what is done to those.

status      an error status                 rate_limit    429 with the Hub's headers
reset       RST: of a GET in the middle of the body, else in place of an answer
lost        the connection ends in place of an answer
cut         the connection ends in the middle of the body
slow        the body trickles                stall         no byte for a while, in the middle of the body
flip        one bit of the body              short         half the body, with a Content-Length to match
ignore_range  200 with all of it            wrong_range   206 with another range, as its Content-Range says

Of requests that change something, `status`, `rate_limit` and `reset` strike before anything was done, all others
after it. A redirect has no body; the CDN's content after it counts as "get", like content that the Hub sends itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.loopback_hub.answers import Answer, Asked

BEFORE = ("status", "rate_limit", "reset")
AFTER = ("cut", "slow", "stall", "flip", "short", "lost")
RANGES = ("ignore_range", "wrong_range")  # only requests with a Range
KINDS = (*BEFORE, *AFTER, *RANGES)
MIX_OF_CONTENT = ("status", "reset", "cut", "flip", "short", *RANGES)
MIX_OF_CALLS = ("status", "reset", "lost", "rate_limit")


@dataclass
class Fault:
    """A plan: which requests to strike, with what, how often. `route` is a name as the package lists them."""

    route: str
    kind: str
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0
    when: Callable[[Asked], bool] | None = None
    kinds: tuple[str, ...] = ()
    status: int = 503
    seconds: float = 1.0  # of stall and slow, and the wait that rate_limit states
    headers: dict[str, str] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        unknown = {self.kind, *self.kinds} - {*KINDS, "mix"}
        if unknown:
            raise ValueError(f"Unknown faults {sorted(unknown)}: there are {', '.join(KINDS)} and mix")

    def strikes(self, names: set[str], asked: Asked) -> str | None:
        """The kind that this request is struck with. Keyed by (seed, request, how often it came), not by order."""
        if self.times == 0 or self.route not in names or (self.when and not self.when(asked)):
            return None
        request = f"{asked.method} {asked.path} {asked.headers.get('Range', '')}"
        self.seen[request] += 1
        drawn = hashlib.sha256(f"{self.seed} {request} {self.seen[request]}".encode()).digest()
        if int.from_bytes(drawn[:8], "big") >= self.probability * 2**64:
            return None
        kinds = self._kinds(names, asked)
        return kinds[drawn[8] % len(kinds)] if kinds else None

    def _kinds(self, names: set[str], asked: Asked) -> list[str]:
        mix = self.kinds or (MIX_OF_CONTENT if names & {"get", "head"} else MIX_OF_CALLS)
        kinds = mix if self.kind == "mix" else (self.kind,)
        without = set() if "get" in names and "Range" in asked.headers else set(RANGES)
        if names & {"head", "resolve"}:
            without |= {"cut", "flip", "short"}  # they have no body
        return [kind for kind in kinds if kind not in without]


@dataclass(frozen=True)
class Fired:
    route: str
    kind: str
    method: str
    path: str


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.fired: list[Fired] = []

    def draw(self, names: Iterable[str], asked: Asked) -> tuple[str, Fault] | None:
        names = set(names)
        for fault in self.planned:
            if kind := fault.strikes(names, asked):
                if fault.times is not None:
                    fault.times -= 1
                self.fired.append(Fired(fault.route, kind, asked.method, asked.path))
                return kind, fault
        return None


def refusal(kind: str, fault: Fault, bucket: str) -> Answer:
    """What `status` and `rate_limit` answer."""
    if kind == "rate_limit":
        headers = {"RateLimit": f'"{bucket}";r=0;t={int(fault.seconds)}', **fault.headers}
        headers["RateLimit-Policy"] = f'"fixed window";"{bucket}";q=500;w=300'
        return Answer(429, b'{"error": "Too Many Requests"}', headers)
    return Answer(fault.status, b'{"error": "a fault on demand"}', dict(fault.headers))


def damaged(kind: str, answer: Answer) -> Answer:
    """The answer with another body or other headers: flip, short and the two faults of ranges."""
    body, headers = answer.body, dict(answer.headers)
    middle = len(body) // 2
    if kind == "flip" and body:
        body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    if kind == "short":
        body = body[:middle]
    if kind == "ignore_range" and answer.whole is not None:
        headers.pop("Content-Range", None)
        return Answer(200, answer.whole, headers, answer.kind)
    if kind == "wrong_range" and answer.whole is not None and "Content-Range" in headers:
        body, headers["Content-Range"] = _moved(answer.whole, headers["Content-Range"])
    return Answer(answer.status, body, headers, answer.kind, answer.whole)


def _moved(whole: bytes, stated: str) -> tuple[bytes, str]:
    """Another range than the one asked for: its first byte is one to the left, or, at the start, to the right."""
    start, end = (int(number) for number in stated.removeprefix("bytes ").split("/")[0].split("-"))
    start = start - 1 if start else min(1, end)
    return whole[start : end + 1], f"bytes {start}-{end}/{len(whole)}"
