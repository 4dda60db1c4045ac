"""How long faults of the Hub are borne, in reading and in writing, by a clock that only waits move."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from corpora.errors import TamizError, Unreachable
from corpora.hub import tries
from corpora.hub.tries import Fault, Tries
from tamiz.hub import calls
from tamiz.hub.calls import Patience


class Clock:
    """now: seconds. waits: each that was made."""

    def __init__(self) -> None:
        self.now, self.waits = 1000.0, []

    def rest(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    here = SimpleNamespace(monotonic=lambda: made.now, sleep=made.rest)
    monkeypatch.setattr(tries, "time", here)
    monkeypatch.setattr(tries, "rest", made.rest)
    monkeypatch.setattr(calls, "time", here)
    return made


def again(wait: Callable[[], object], times: int = 1000) -> None:
    for _ in range(times):
        wait()


@pytest.mark.parametrize(("asked", "waits"), [(450.0, 2), (451.0, 1), (901.0, 0), (100.0, 7)])
def test_reading_waits_at_most_a_quarter_of_an_hour(clock, monkeypatch, asked, waits):
    """By the pauses that a server asks for; by the tries, if they are short."""
    monkeypatch.setattr(tries, "_jitter", SimpleNamespace(uniform=lambda *_: 0))
    tried, fault = Tries("read x", "http://x", tries.PATIENCE), Fault("the server answers 429", wait=asked)
    with pytest.raises(Unreachable, match=f"answers 429; tried ({waits + 1} times|once)"):
        again(lambda: tried.failed(fault))
    assert clock.waits == [asked] * waits


def test_the_quarter_of_an_hour_begins_anew_after_progress(clock, monkeypatch):
    monkeypatch.setattr(tries, "_jitter", SimpleNamespace(uniform=lambda *_: 0))
    tried, fault = Tries("read x", "http://x", tries.PATIENCE), Fault("x", wait=300.0)
    again(lambda: tried.failed(fault), 2)
    tried.progressed()
    with pytest.raises(Unreachable):
        again(lambda: tried.failed(fault))
    assert clock.waits == [300.0] * (2 + 3)


def test_reading_ends_after_eight_tries_in_a_row(clock):
    tried = Tries("read x", "http://x", tries.PATIENCE)
    with pytest.raises(Unreachable, match="tried 8 times"):
        again(lambda: tried.failed(Fault("x")))
    assert len(clock.waits) == 7
    assert all(2**n / 2 <= wait <= 2**n for n, wait in enumerate(clock.waits[:5]))
    assert max(clock.waits) <= 30


@pytest.mark.parametrize(("asked", "waits"), [(600.0, 1), (601.0, 0), (200.0, 3)])
def test_an_upload_waits_ten_minutes(clock, asked, waits):
    patience = Patience()
    with pytest.raises(TamizError, match=f"in {waits + 1} tries and {asked * waits:.0f} s .*asks to wait"):
        again(lambda: patience.wait("status 429", asked))
    assert clock.waits == [asked] * waits


def test_an_upload_s_ten_minutes_begin_anew_after_a_success(clock):
    patience = Patience()
    for _ in range(10):
        patience.wait("status 503", 599.0)
        patience.renew()
    assert len(clock.waits) == 10


def test_an_upload_s_own_waits_grow_to_a_minute(clock):
    patience = Patience()
    with pytest.raises(TamizError, match=r"the Hub didn't do it in [0-9]+ tries and 5[0-9][0-9] s"):
        again(lambda: patience.wait("status 503"))
    assert all(2**n / 2 <= wait <= 2**n for n, wait in enumerate(clock.waits[:6]))
    assert 30 <= max(clock.waits) <= 60
