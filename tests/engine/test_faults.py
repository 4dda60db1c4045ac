"""Workers and runs that die, stand still or print too much, on real processes: no hang, nothing lost, one line."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora import manifest
from corpora.verify import verify

ROOT = Path(__file__).parents[2]
PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
BOUND = 400  # seconds, on a machine that is busy with other things
pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(BOUND)]


def inputs(folder: Path, *texts: str) -> None:
    for number, text in enumerate(texts):
        (folder / f"in{number}.jsonl").write_text(f'{{"text": "{text}"}}\n')


def command(folder: Path, *arguments: str) -> list[str]:
    """arguments: the runner, minutes of a stall, a share or nothing, Beam's flags."""
    return [sys.executable, "-m", "tests.hostile_work", str(folder / "out"), str(folder / "in*.jsonl"), *arguments]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=BOUND)


def check_whole(folder: Path, texts: int) -> None:
    """There is an output of each input, and no other file."""
    found = sorted(path.name for path in (folder / "out").iterdir())
    assert found == [*(f"in{n}.jsonl.out" for n in range(texts)), manifest.NAME]
    assert verify(folder / "out")[1] == []


def test_a_unit_that_always_kills_its_worker_is_set_aside_and_the_rest_is_done(tmp_path):
    inputs(tmp_path, "uno", "crash", "dos", "tres")
    ended = run(tmp_path, "FnApiRunner", "1", "", *PROCESSES)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "['set aside after 3 tries: its process was ended by SIGSEGV']\n"
    check_whole(tmp_path, 4)
    content = manifest.read(tmp_path / "out")
    assert [each["file"] for each in content.damaged] == [str(tmp_path / "in1.jsonl")]
    assert content.counts["read"] == 3


@pytest.fixture
def pool() -> Iterator[int]:
    """The port of a pool of Beam's workers, which never reads what they print."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    serve = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    process = subprocess.Popen(
        serve, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while process.poll() is None:  # importing Beam takes it a while
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("localhost", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_pool_that_is_not_there_is_named(tmp_path):
    inputs(tmp_path, "uno")
    flags = ("--job_endpoint=embed", "--environment_type=EXTERNAL", "--environment_config=localhost:1")
    ended = run(tmp_path, "PortableRunner", "0.3", "", *flags)
    assert ended.returncode == 1
    said = ended.stderr.splitlines()[-1]
    assert said.startswith("error: the runner PortableRunner failed: a connection failed (failed to connect")
    assert "check that a worker pool listens at localhost:1" in said


def test_a_pool_s_worker_may_print_a_megabyte_and_be_stopped(pool, tmp_path):
    """The engine would wait for ever for either."""
    inputs(tmp_path, "print", "stop once", "dos")
    flags = ("--job_endpoint=embed", "--environment_type=EXTERNAL", f"--environment_config=localhost:{pool}")
    ended = run(tmp_path, "PortableRunner", "0.3", "", *flags)
    assert ended.returncode == 0, ended.stderr
    assert "made no progress for 18 s: going on with the rest" in ended.stderr
    check_whole(tmp_path, 3)


def test_a_unit_that_stands_still_ends_the_run_and_is_set_aside_by_the_next(tmp_path):
    inputs(tmp_path, "uno", "hang")
    ended = run(tmp_path, "FnApiRunner", "0.05", "")
    assert ended.returncode == 1
    said = f"{tmp_path / 'in1.jsonl'} made no progress for 3 s; the same command continues, and tries it in a process"
    assert ended.stderr.splitlines()[-1].startswith(f"error: {said}")
    ended = run(tmp_path, "FnApiRunner", "0.05", "")
    assert ended.stdout == "['set aside after 3 tries: no progress for 3 s']\n"
    check_whole(tmp_path, 2)


def test_a_run_that_is_killed_continues_and_one_that_is_interrupted_says_so(tmp_path):
    inputs(tmp_path, *["slow"] * 6)
    for number in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(
            command(tmp_path, "FnApiRunner", "1", ""), cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        notes = tmp_path / "out" / manifest.PROGRESS / "notes"
        before = len(list(notes.rglob("*.json")))
        while len(list(notes.rglob("*.json"))) < before + 2 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate(timeout=BOUND)
        assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert run(tmp_path, "FnApiRunner", "1", "").returncode == 0
    check_whole(tmp_path, 6)
