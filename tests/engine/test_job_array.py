"""The job script of docs/anywhere: what Slurm would start, with its variables, on one shared folder."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack

import pytest

from corpora import manifest
from tests.command import exit_code
from tests.conftest import ROOT, digests
from tests.engines.processes import environment

SCRIPT = ROOT / "docs" / "anywhere" / "job-array.sh"
pytestmark = pytest.mark.slow


def sbatch(tasks: int, only: list[int], *command: object) -> list[tuple[int, str]]:
    """(exit code, output) of some tasks of an array, which run at once."""
    with ExitStack() as stack:
        started = []
        for task in only:
            slurm = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": tasks, "SLURM_CPUS_PER_TASK": 1}
            process = subprocess.Popen(
                ["bash", str(SCRIPT), *map(str, command)],
                env=environment(**{name: str(value) for name, value in slurm.items()}),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.append(stack.enter_context(process))
        outputs = [process.communicate(timeout=300)[0] for process in started]
        return [(process.returncode, output) for process, output in zip(started, outputs, strict=True)]


def test_an_array_has_the_bytes_of_one_run_and_a_missing_task_is_made_up_for(corpus, lm, tmp_path):
    score = ["score", "--input", *corpus, "--lm", lm, "--out"]
    assert exit_code(*score, tmp_path / "one") == 0
    first = sbatch(3, [1, 3], *score, tmp_path / "array")
    assert [code for code, _ in first] == [0, 0], first
    assert not manifest.read(tmp_path / "array").finished
    assert all("the share that ends last finishes" in output for _, output in first), first
    assert any("is b.jsonl.gz of share 2/3" in output for _, output in first), first
    ((code, output),) = sbatch(3, [2], *score, tmp_path / "array")
    assert code == 0, output
    assert digests(tmp_path / "array") == digests(tmp_path / "one")
    assert exit_code("verify", tmp_path / "array") == 0
