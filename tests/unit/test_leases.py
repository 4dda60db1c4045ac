"""One machine at a time sends its work to a store: who is refused, who takes over, and who finds that out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from corpora import leases
from corpora.home import Home
from corpora.leases import Lease, leased
from corpora.locks import SUFFIX, InUse
from corpora.stores import store_of
from tamiz import mirror
from tests.command import exit_code, tamiz
from tests.loopback_store import loopback_store
from tests.make_shards import MODEL, make_home


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setattr(leases, "BEAT", 0.05)
    monkeypatch.setattr(leases, "PATIENCE", 1.0)
    monkeypatch.setattr(leases, "_LOOK", 0.05)
    store_of.cache_clear()
    with loopback_store() as running:
        yield Home.of(running.address("model"))
    store_of.cache_clear()


@pytest.fixture
def told() -> Iterator[threading.Event]:
    """Set by SIGTERM."""
    told = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    yield told
    signal.signal(signal.SIGTERM, before)


def test_another_machine_is_refused_while_one_is_at_work(home: Home, tmp_path: Path) -> None:
    with leased(home, "train", tmp_path / "a"):
        time.sleep(0.2)
        with pytest.raises(InUse, match=rf"model is in use by tamiz train \(pid {os.getpid()} on .*: wait for it"):
            Lease(home, "train", tmp_path / "b").take()
        assert not (tmp_path / "b").exists()
    assert not home.entries(), "it is gone with the work"
    Lease(home, "train", tmp_path / "b").take()


def test_who_was_killed_is_waited_for_and_followed(
    home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Lease(home, "train", tmp_path / "a").take()
    begun = time.monotonic()
    with leased(home, "train", tmp_path / "b"):
        assert time.monotonic() - begun >= 1
        assert "is at work there, or was killed: looking for 1 s which it is" in caplog.text


@pytest.mark.parametrize("left", ["ours", "removed meanwhile"])
def test_nobody_is_waited_for_in_vain(home: Home, tmp_path: Path, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "PATIENCE", 60.0)
    Lease(home, "train", tmp_path / "a").take()
    if left == "removed meanwhile":
        threading.Timer(0.3, home.remove, [SUFFIX]).start()
    begun = time.monotonic()
    Lease(home, "train", tmp_path / ("a" if left == "ours" else "b")).take()
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"name": 3}', b"\xff"])
def test_a_damaged_lease_holds_nobody_up_for_long(home: Home, tmp_path: Path, damage: bytes) -> None:
    home.write_bytes(SUFFIX, damage)
    with leased(home, "train", tmp_path / "a"):
        home.write_bytes(SUFFIX, b"")
    assert home.entries() == {SUFFIX: 0}, "it may be another's"


def test_one_of_several_that_take_over_at_once_wins(home: Home, tmp_path: Path) -> None:
    Lease(home, "train", tmp_path / "dead").take()
    ends: list[str] = []

    def work(number: int) -> None:
        lease = Lease(home, "train", tmp_path / str(number))
        try:
            lease.take()
            time.sleep(0.5)  # the others have taken it, or were refused
            lease.check()
            ends.append("won")
        except InUse:
            ends.append("refused")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["refused"] * 3 + ["won"]


def test_who_lost_it_is_told_and_sends_nothing_more(
    home: Home,
    tmp_path: Path,
    told: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "cache"))

    def work() -> None:
        with mirror.mirrored(home, "train") as folder:
            (folder / "weights").write_bytes(b"ours")
            home.write_bytes("weights", b"another's")
            theirs = msgspec.json.encode(Lease(home, "train", tmp_path / "b")._held)
            home.write_bytes(SUFFIX, theirs)
            while not told.wait(0.01):  # we may be about to write ours: then theirs comes again
                home.write_bytes(SUFFIX, theirs)

    with pytest.raises(InUse, match="took over while this machine was cut off"):
        work()
    assert "took over" in caplog.text
    assert home.read_bytes("weights") == b"another's"
    assert home.exists(SUFFIX)


def test_a_lease_that_somebody_removed_is_written_again(home: Home, tmp_path: Path) -> None:
    with leased(home, "train", tmp_path / "a"):
        home.remove(SUFFIX)
        for _ in range(100):
            if home.exists(SUFFIX):
                break
            time.sleep(0.05)
        assert home.exists(SUFFIX)


def test_a_store_that_fails_for_a_while_ends_nothing(
    home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corpora.errors import Unreachable

    whole = Home.write_bytes

    def failing(self: Home, name: str, data: bytes) -> None:
        if name == SUFFIX and failures:
            raise Unreachable(failures.pop())
        whole(self, name, data)

    failures = ["the store is away"] * 2
    monkeypatch.setattr(Home, "write_bytes", failing)
    with leased(home, "train", tmp_path / "a") as lease:
        for _ in range(200):
            if not failures and lease._held.beats > 3:
                break
            time.sleep(0.05)
        assert lease._held.beats > 3
    assert caplog.text.count("the store is away; it is tried again") == 2


@pytest.mark.usefixtures("quick_plots")
def test_two_machines_that_train_at_one_address(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is refused while the first is at work, waits when that was killed, and makes the same model."""
    near = make_home(tmp_path / "near", MODEL)
    given = ["train", "--shards", str(near / "shards"), "--model", str(near / "m.toml"), "--out"]
    assert exit_code(*given, near / "model") == 0
    script = "from corpora import leases; leases.BEAT = 0.2; from tamiz.cli import main; main()"
    slow = [sys.executable, "-c", script, *given, str(home), "--steps", "100000"]
    with subprocess.Popen(
        slow, env={**os.environ, "TAMIZ_CACHE": str(tmp_path / "a")}, stderr=subprocess.PIPE
    ) as first:
        for _ in range(1200):
            if home.exists(SUFFIX):
                break
            time.sleep(0.05)
        monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "b"))
        code, _, said = tamiz(capsys, *given, str(home))
        assert code == 1
        assert f"in use by tamiz train (pid {first.pid} on" in said
        first.kill()
    for name in home.entries():
        if name != SUFFIX:
            home.remove(name)
    assert exit_code(*given, home) == 0
    assert home.read_bytes("model.safetensors") == (near / "model" / "model.safetensors").read_bytes()
    assert not home.exists(SUFFIX)
