"""One run at a time in a folder, across processes and threads; a killed run blocks nobody."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from corpora import files, manifest
from corpora.locks import SUFFIX, InUse, check_free, locked
from corpora.manifest import MadeFrom
from corpora.verify import notes, verify

HOLD = """
import sys, time
from pathlib import Path
from corpora.locks import locked
with locked(Path(sys.argv[1]), "score", sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


class Holder:
    """Another process that holds the lock of a folder."""

    def __init__(self, folder: Path, model: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder), model],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __enter__(self) -> int:
        return self.process.pid

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def test_the_second_run_says_who_works_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Holder(tmp_path / "out") as pid:
        says = rf"^out is in use by tamiz score \(pid {pid} on \S+, since \d\d:\d\d\): wait for it, or choose another"
        with pytest.raises(InUse, match=says), locked(Path("out"), "score"):
            pytest.fail("two runs in one folder")
        with pytest.raises(InUse, match=says):
            check_free(Path("out"))
    with locked(Path("out"), "score"):  # a killed run blocks nobody, though its file is there
        assert (tmp_path / "out" / SUFFIX).exists()
    assert not (tmp_path / "out" / SUFFIX).exists()


def test_a_run_locks_its_stages_and_a_stage_its_run(tmp_path):
    run, stage = tmp_path / "run", tmp_path / "run" / "scores"
    with Holder(run), pytest.raises(InUse, match=r"run is in use by"), locked(stage, "score"):
        pass
    assert not stage.exists()
    with (
        Holder(stage),
        locked(run, "run"),
        pytest.raises(InUse, match=r"scores is in use by"),
        locked(stage, "score"),
    ):
        pass
    with locked(run, "run"), locked(stage, "score"), locked(stage, "report"):  # the run's own stages
        pass


def test_models_in_one_folder_have_locks_of_their_own(tmp_path):
    with Holder(tmp_path, "es") as pid:
        with (
            pytest.raises(InUse, match=rf"es\.bin is in use by tamiz score \(pid {pid}"),
            locked(tmp_path, "lm", "es"),
        ):
            pass
        with locked(tmp_path, "lm train", "pt"):
            pass


def test_threads_of_one_process_exclude_each_other(tmp_path):
    found: list[BaseException] = []

    def second() -> None:
        try:
            with locked(tmp_path, "score"):
                pass
        except InUse as error:
            found.append(error)

    with locked(tmp_path, "score"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert re.search(rf"pid {os.getpid()} ", str(found[0]))


def test_a_folder_made_for_the_lock_alone_is_removed(tmp_path):
    with pytest.raises(ValueError, match="refused"), locked(tmp_path / "a" / "b", "score"):
        raise ValueError("refused")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_without_locks_in_the_file_system_it_warns_and_goes_on(tmp_path, monkeypatch, caplog, code):
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path, "score"):
        pass
    assert "no locks here" in caplog.text


def test_a_lock_that_is_left_is_no_part_of_the_output(tmp_path):
    out, made_from = tmp_path / "out", MadeFrom(stage="score", algorithm=1, settings={}, inputs=[])
    with Holder(out):
        pass
    assert manifest.begin(out, made_from) == "new"
    manifest.finish(out, records=[])
    assert verify(out) == (0, [])
    assert notes(out) == ["1 folder"]
    assert manifest.begin(out, made_from, rebuild=True) == "new"
    assert (out / SUFFIX).exists()  # who works there may clear the folder, and holds the lock


def test_temporary_files_of_others_at_work_are_left_alone(tmp_path):
    """The second of two runs once removed the first one's temporary files, and the first died of it."""
    run, stage, model = tmp_path, tmp_path / "scores", tmp_path / "lm"
    temporary = "x.tmp-0123456789ab"
    with Holder(stage), Holder(model, "es"):
        for folder in (run, stage, model):
            (folder / temporary).write_bytes(b"")
        assert files.remove_temporary(run) == 1
    assert sorted(p.parent.name for p in run.rglob(temporary)) == ["lm", "scores"]


def test_a_file_that_its_last_holder_has_just_removed_is_no_lock(tmp_path, monkeypatch):
    """It is removed after the second run has opened it, and before that one locks it."""
    lock, times = fcntl.flock, []

    def late(descriptor: int, operation: int) -> None:
        if not times:
            (tmp_path / SUFFIX).unlink()
        times.append(operation)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path, "score"):
        assert (tmp_path / SUFFIX).exists()
    assert len(times) > 1


def test_who_looks_whether_a_folder_is_free_does_not_hold_it(tmp_path):
    with (tmp_path / SUFFIX).open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        check_free(tmp_path)
