"""Worker processes of the FnApiRunner: one that died is told from one that the end of a pipeline ended."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

import pytest
from apache_beam.runners.portability import local_job_service

from pipelines import beam_workers, runners
from pipelines.beam_workers import BeamWorkers
from pipelines.runners import _EngineEnded, _Pipeline, _quiet


def start(monkeypatch: pytest.MonkeyPatch, code: str) -> subprocess.Popen[bytes]:
    monkeypatch.setattr(beam_workers, "_WORKER", code)
    process = local_job_service.subprocess.Popen("a worker", shell=True, env=dict(os.environ))
    process.wait()
    return process


def test_only_one_that_died_counts_and_only_of_this_pipeline(monkeypatch):
    workers = BeamWorkers()
    start(monkeypatch, "raise SystemExit(0)")
    assert workers.died() is None
    for code in ("import os; os.kill(os.getpid(), 9)", "import os; os._exit(70)"):
        workers = BeamWorkers()  # of the next pipeline
        assert workers.died() is None
        assert workers.died() is None
        assert start(monkeypatch, code).pid == workers.died()


def test_a_shutdown_that_takes_long_is_no_death(monkeypatch):
    """Eight workers on a busy machine took 10 seconds to end, one after the other."""
    pipeline = object.__new__(_Pipeline)
    pipeline._workers, pipeline._died = BeamWorkers(), None
    start(monkeypatch, "raise SystemExit(0)")
    for now in (1.0, 100.0):
        pipeline._check_workers(now)
    dead = start(monkeypatch, f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})")
    pipeline._settings = runners.RunnerSettings()
    pipeline._check_workers(101.0)
    with pytest.raises(_EngineEnded, match=f"a worker process of FnApiRunner ended .pid {dead.pid}"):
        pipeline._check_workers(101.0 + runners._GRACE + 1)


def test_a_worker_has_no_log_of_its_own_on_stderr():
    """The first warning through the root logger would give it one that shows whatever Beam tells itself."""
    code = beam_workers._WORKER.partition("; from apache_beam")[0]
    code += "; logging.warning('said'); logging.getLogger().setLevel(10); logging.getLogger('beam').info('said')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == ""


def test_a_job_server_whose_logger_gets_a_level_again_says_nothing(caplog):
    """As Beam does with that of Prism, when it starts it."""
    logger = logging.getLogger("PrismJobServer")
    with caplog.at_level(logging.INFO):
        with _quiet():
            logger.setLevel(logging.INFO)
            logger.info("Serving JobManagement")
        logger.info("afterwards")
    assert [record.getMessage() for record in caplog.records] == ["afterwards"]
