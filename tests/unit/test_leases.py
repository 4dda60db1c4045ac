"""One machine at a time sends its work to a store: who is refused, who takes over, and who finds that out."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from corpora import leases, manifest
from corpora.errors import Unreachable
from corpora.home import Home
from corpora.leases import Lease, leased
from corpora.locks import SUFFIX, InUse
from corpora.manifest import MadeFrom
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
def leases_of(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Lease]]:
    """Leases of machines by their names; none shows any more that it is alive when the test ends."""
    made: list[Lease] = []

    def lease_of(machine: str) -> Lease:
        made.append(Lease(home, "train", tmp_path / machine))
        monkeypatch.setattr(made[-1], "tell", lambda: None)
        return made[-1]

    yield lease_of
    for lease in made:
        lease.stop()


def dead(lease: Lease) -> None:
    """What a machine leaves that was killed."""
    lease.stop()
    lease.take()


def finish(home: Home) -> None:
    with mirror.mirrored(home, "train") as folder:
        manifest.begin(folder, MadeFrom(stage="x", algorithm=1, settings={}, inputs=[]))
        manifest.finish(folder, records=[])


def test_another_machine_is_refused_while_one_is_at_work(
    leases_of: Callable[[str], Lease], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leases, "PATIENCE", 20.0)
    lease = leases_of("a")
    with leased(lease):
        lease.take()
        time.sleep(0.2)
        with pytest.raises(InUse, match=rf"model is in use by tamiz train \(pid {os.getpid()} on .*: wait for it"):
            leases_of("b").take()
    caplog.clear()
    leases_of("b").take()
    assert not caplog.text, "nobody waits for a run that has ended"


def test_who_was_killed_is_waited_for_and_followed(
    leases_of: Callable[[str], Lease], caplog: pytest.LogCaptureFixture
) -> None:
    dead(leases_of("a"))
    begun = time.monotonic()
    leases_of("b").take()
    assert time.monotonic() - begun >= 1
    assert "is at work there, or was killed: looking for 1 s which it is" in caplog.text


@pytest.mark.parametrize("left", ["ours", "removed meanwhile", "ended meanwhile"])
def test_nobody_is_waited_for_in_vain(
    home: Home, leases_of: Callable[[str], Lease], left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "PATIENCE", 60.0)
    first = leases_of("a")
    dead(first)
    if left != "ours":
        does = first.end if left == "ended meanwhile" else lambda: home.remove(SUFFIX)
        threading.Timer(0.3, does).start()
    begun = time.monotonic()
    leases_of("a" if left == "ours" else "b").take()
    assert time.monotonic() - begun < 20


DAMAGE = [b"", b"{", b"[1]", b'{"name": 3}', b"\xff"]
UNKNOWN = [
    b'{"command":"x\\u001b[31m\\n","pid":1,"host":"h","since":1e300,"name":"z"}',
    b'{"command":"x","pid":1,"host":"h","since":-1e300,"name":"z","beats":1,"later":[1]}',
]


@pytest.mark.parametrize("content", [*DAMAGE, *UNKNOWN])
def test_a_strange_lease_holds_nobody_up_for_long(
    home: Home, leases_of: Callable[[str], Lease], content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    home.write_bytes(SUFFIX, content)
    leases_of("a").take()
    said = "another tamiz is at work" if content in DAMAGE else "(pid 1 on h) is at work"
    assert said in caplog.text
    assert all(character.isprintable() for record in caplog.records for character in record.getMessage())


def test_one_of_several_that_take_over_at_once_wins(leases_of: Callable[[str], Lease]) -> None:
    dead(leases_of("dead"))
    ends: list[str] = []
    all_tried = threading.Barrier(4, timeout=60)

    def work(lease: Lease) -> None:
        with contextlib.suppress(InUse):
            lease.take()
        all_tried.wait()
        try:
            lease.check()
            ends.append("won")
        except InUse:
            ends.append("refused")

    threads = [threading.Thread(target=work, args=(leases_of(str(number)),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["refused"] * 3 + ["won"]


def test_who_takes_it_late_and_is_refused_is_told(
    home: Home, leases_of: Callable[[str], Lease], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A finished folder that is worked on again, while another machine does so."""
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(leases, "PATIENCE", 20.0)
    monkeypatch.setattr(mirror, "SECONDS", 0.05)
    finish(home)

    def work() -> None:
        with mirror.mirrored(home, "train") as folder:
            leases_of("b").take()
            (folder / "weights").write_bytes(b"ours")
            time.sleep(60)

    begun = time.monotonic()
    with pytest.raises(InUse, match="is in use by tamiz train"):
        work()
    assert time.monotonic() - begun < 50
    assert not home.exists("weights")


@pytest.mark.parametrize("successor", ["is at work", "has ended"])
def test_who_lost_it_is_told_and_sends_nothing_more(
    home: Home,
    leases_of: Callable[[str], Lease],
    successor: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Wherever it is: SIGTERM ends a wait in the main thread."""
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "cache"))
    before, reached = signal.getsignal(signal.SIGTERM), list[str]()
    assert before is signal.SIG_DFL

    def work() -> None:
        with mirror.mirrored(home, "train") as folder:
            (folder / "weights").write_bytes(b"ours")
            home.write_bytes("weights", b"another's")
            theirs = leases_of("b")._held
            theirs.ended = successor == "has ended"
            for _ in range(1000):  # we may be about to write ours: then theirs comes again
                with contextlib.suppress(Unreachable):  # ours came between the sending and the look
                    home.write_bytes(SUFFIX, msgspec.json.encode(theirs))
                time.sleep(0.01)
            reached.append("the end")

    said = "is in use by .*, which took over" if successor == "is at work" else "was in use by .* the same command"
    with pytest.raises(InUse, match=said):
        work()
    assert not reached
    assert home.read_bytes("weights") == b"another's"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_does_what_it_did_until_the_lease_is_lost(leases_of: Callable[[str], Lease]) -> None:
    """As in one of several processes, which `tamiz.trainer.grace` gives time to say why it ends."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        lease = leases_of("a")
        with pytest.raises(InUse, match="another has it"), leased(lease):  # noqa: PT012
            os.kill(os.getpid(), signal.SIGTERM)
            assert received == [signal.SIGTERM]
            lease.lost = InUse("another has it")
            os.kill(os.getpid(), signal.SIGTERM)
            received.append(0)
        assert received == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)
        assert len(received) == 2, "it is put back"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_lease_that_somebody_removed_is_written_again(home: Home, leases_of: Callable[[str], Lease]) -> None:
    leases_of("a").take()
    home.remove(SUFFIX)
    for _ in range(100):
        if home.exists(SUFFIX):
            break
        time.sleep(0.05)
    assert home.exists(SUFFIX)


def test_a_finished_folder_needs_no_lease_until_something_is_sent(
    home: Home, leases_of: Callable[[str], Lease], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(leases, "PATIENCE", 60.0)
    finish(home)
    dead(leases_of("b"))
    begun = time.monotonic()
    with mirror.mirrored(home, "train"):
        pass
    assert time.monotonic() - begun < 20
    monkeypatch.setattr(leases, "PATIENCE", 0.2)
    with mirror.mirrored(home, "train") as folder:
        (folder / "more").write_bytes(b"1")
    assert home.exists("more")
    assert msgspec.json.decode(home.read_bytes(SUFFIX))["ended"]


def test_a_store_that_fails_for_a_while_ends_nothing(
    leases_of: Callable[[str], Lease], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Home.write_bytes

    def failing(self: Home, name: str, data: bytes) -> None:
        if name == SUFFIX and failures:
            raise Unreachable(failures.pop())
        whole(self, name, data)

    failures = ["the store is away"] * 2
    monkeypatch.setattr(Home, "write_bytes", failing)
    lease = leases_of("a")
    lease.take()
    for _ in range(200):
        if not failures and lease._held.beats > 3:
            break
        time.sleep(0.05)
    assert lease._held.beats > 3
    assert caplog.text.count("the store is away; it is tried again") == 2


def test_a_store_that_is_gone_is_tried_once_more_at_most(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mirror, "SECONDS", 0.05)
    tries: list[str] = []
    working = threading.Event()

    def gone(_: Home, name: str, *__: Path) -> None:
        tries.append(name)
        working.set()
        time.sleep(1)
        raise Unreachable("the store is gone")

    monkeypatch.setattr(Home, "send", gone)

    def work() -> None:
        with mirror.mirrored(home, "train") as folder:
            (folder / "weights").write_bytes(b"1")
            assert working.wait(10)

    with pytest.raises(Unreachable, match="the store is gone"):
        work()
    assert tries == ["weights"], "the try that was under way has said it"
    assert not msgspec.json.decode(home.read_bytes(SUFFIX))["ended"], "nothing more is sent"


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
        monkeypatch.setattr(leases, "PATIENCE", 20.0)
        code, _, said = tamiz(capsys, *given, str(home))
        assert code == 1
        assert f"in use by tamiz train (pid {first.pid} on" in said
        first.kill()
    monkeypatch.setattr(leases, "PATIENCE", 1.0)
    for name in home.entries():
        if name != SUFFIX:
            home.remove(name)
    assert exit_code(*given, home) == 0
    assert home.read_bytes("model.safetensors") == (near / "model" / "model.safetensors").read_bytes()
    assert exit_code("verify", home) == 0
