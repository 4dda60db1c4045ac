"""The demo's model learns more than how often each id occurs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def test_the_demo_ends_below_the_entropy_of_the_unigrams(tmp_path):
    command = [sys.executable, "-m", "tamiz", "run", "t5-spanish-efficient-tiny", "--demo", "--out", tmp_path / "run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "model" / "metrics.json").read_bytes())
    assert metrics["validation_loss"] < metrics["target_unigram_entropy_nats"] - 0.05
    assert "(below: it learned more than frequencies)" in done.stdout
    assert "steps 65,536 -> 60" in done.stdout
