"""Another process fetches the file that is wanted, and stops doing so: the lock is the test's own."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.hub import waiting
from tests.loopback_hub import LoopbackHub
from tests.reading_hub import gz, lines, read_from

DATA = gz(lines(0, 400))


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[LoopbackHub]:
    with LoopbackHub("lfs", tmp_path / "hub") as running:
        running.create("dataset", "me/x", {"a.jsonl.gz": DATA})
        read_from(running, monkeypatch, tmp_path)
        monkeypatch.setenv("TAMIZ_HUB_CACHE", str(tmp_path / "kept"))
        yield running


@pytest.fixture
def meanwhile(monkeypatch) -> list[Callable[[], object]]:
    """What happens in one wait after the other, 20 s each; then they pass without an event."""
    clock, events = [0.0], []

    def rest(_: float) -> None:
        clock[0] += 20
        if events:
            events.pop(0)()

    monkeypatch.setattr(waiting, "rest", rest)
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    return events


def held(kept: Path, tag: str | None) -> IO[bytes]:
    """The part, with the lock of who fetches it."""
    kept.mkdir()
    part = (kept / f"{tag}.part").open("w+b", buffering=0)
    fcntl.flock(part, fcntl.LOCK_EX)
    return part


def rows(item) -> int:
    return sum(len(batch.texts) for batch in read_batches(item))


@pytest.mark.usefixtures("meanwhile")
def test_who_brings_nothing_is_named_and_then_left(hub, tmp_path, caplog):
    (item,) = work_items(["hf://datasets/me/x/*.gz"])
    kept = tmp_path / "kept"
    with held(kept, item.etag) as part:
        assert rows(item) == 400
    holder = f"the process with pid {os.getpid()}"
    assert caplog.messages == [
        *(f"{part.name}: waiting for {holder}, which fetches it; nothing new for {n} s" for n in (60, 120, 180, 240)),
        f"{part.name}: {holder} has added nothing for 300 s: fetching it anew",
    ]
    assert [path.name for path in sorted(kept.iterdir())] == [item.etag, f"{item.etag}.part"]
    assert (kept / str(item.etag)).read_bytes() == DATA
    assert Path(part.name).read_bytes() == b""
    hub.clear()
    assert (rows(item), hub.requests) == (400, [])


def test_who_brings_little_by_little_is_waited_for(hub, tmp_path, caplog, meanwhile):
    (item,) = work_items(["hf://datasets/me/x/*.gz"])
    with held(tmp_path / "kept", item.etag) as part:
        for n in range(10):
            meanwhile += [lambda: None, partial(part.write, DATA[n * 100 : (n + 1) * 100])]
        meanwhile.append(partial(fcntl.flock, part, fcntl.LOCK_UN))  # it was killed
        assert rows(item) == 400
    assert (meanwhile, caplog.messages) == ([], [])
    (get,) = [request for request in hub.requests if request.route == "get"]
    assert "bytes=1000-" in get.headers.values()


@pytest.mark.parametrize("locks", ["", "1: POSIX  ADVISORY  WRITE 7 08:01:{inode} 0 EOF\n", None])
def test_a_holder_that_the_kernel_does_not_name(monkeypatch, tmp_path, locks):
    (tmp_path / "part").touch()
    read = Path.read_text

    def told(path: Path) -> str:
        if locks is None:
            raise FileNotFoundError
        return locks.format(inode=(tmp_path / "part").stat().st_ino) if str(path) == "/proc/locks" else read(path)

    monkeypatch.setattr(Path, "read_text", told)
    assert waiting._holder(tmp_path / "part") == "another process"
