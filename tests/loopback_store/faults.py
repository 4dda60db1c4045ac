"""What goes wrong on demand."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Faults:
    """May be changed while the server runs. `only`: a pattern of `METHOD /bucket/key?query` that has the faults."""

    refuse: float = 0.0
    """The share of requests that is answered 503 SlowDown, by number and seed, without being done."""
    lose: int = 0
    """So many requests are done, and their connection is closed without an answer."""
    cut: int = 0
    """So many bodies of answers to GET end half-way."""
    shorten: int = 0
    """So many objects are stored without their last byte, and the answer says 200."""
    seconds: float = 0.0
    """Before each answer."""
    only: str = ""
    seed: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    """By method, of all."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def meets(self, line: str) -> bool:
        return not self.only or re.search(self.only, line) is not None

    def refuses(self, line: str) -> bool:
        with self._lock:
            method = line.partition(" ")[0]
            self.requests[method] += 1
            number = sum(self.requests.values())
        if not (self.refuse and self.meets(line)):
            return False
        digest = hashlib.sha256(f"{self.seed} {number}".encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < self.refuse

    def takes(self, kind: str, line: str) -> bool:
        """Whether one of the faults of this kind that are left is due; then it is used up."""
        with self._lock:
            left: int = getattr(self, kind)
            if not left or not self.meets(line):
                return False
            setattr(self, kind, left - 1)
            return True
