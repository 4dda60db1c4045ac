"""The house's own rules: import directions, light imports, short files."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("corpora", "tokenizer_train", "pipelines", "tamiz")
HEAVY = (
    "apache_beam",
    "torch",
    "transformers",
    "datasets",
    "pyarrow",
    "sentencepiece",
    "kenlm",
    "matplotlib",
    "numpy",
)


def test_imports_point_one_way():
    found = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import corpora",
        "import tamiz.trainer.settings, pipelines.settings",
        "from tamiz.cli import _run; _run(['--help'], False)",
    ],
)
def test_light_imports_pull_in_no_heavy_library(code):
    check = f"{code}\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "[]"


def test_files_are_short():
    long = [p for name in PACKAGES for p in (ROOT / name).rglob("*.py") if len(p.read_text().splitlines()) > 400]
    assert long == []


def test_help_starts_quickly():
    """A generous bound: the aim is 0.3 s, this only catches a heavy import."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tamiz", "--help"], cwd=ROOT, capture_output=True, check=True)
    assert time.perf_counter() - begun < 3
