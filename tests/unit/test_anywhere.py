"""The pages on running anywhere: their shell is valid, their commands parse, they show the files that they name."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib

import pytest

from docs.site_pages import SHOWING, with_blocks
from tests.conftest import ROOT
from tests.unit.test_docs import blocks, check, page_id

ANYWHERE = ROOT / "docs" / "anywhere"
PAGES = sorted([ROOT / "docs" / "running-anywhere.md", *ANYWHERE.glob("*.md")])
SCRIPT = ANYWHERE / "job-array.sh"
DOCKERFILE = ANYWHERE / "Dockerfile"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_shell_is_valid(page):
    for block in [*blocks(page, "bash"), *blocks(page, "console")]:
        ended = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (0, "")


def test_the_job_script_is_clean():
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck on PATH")
    ended = subprocess.run(["shellcheck", str(SCRIPT)], capture_output=True, text=True)
    assert ended.stdout == ""


def test_the_commands_given_to_sbatch_are_commands_of_tamiz():
    page = ANYWHERE / "job-arrays.md"
    found = re.findall(
        r"job-array\.sh (.+?)\)?$", "\n".join([*blocks(page, "bash"), SCRIPT.read_text()]), re.MULTILINE
    )
    assert len(found) >= 4
    for command in found:
        check(f"tamiz {command}")


def test_pages_show_the_files_that_they_name():
    for name in SHOWING:
        page = (ROOT / name).read_text()
        assert with_blocks(page) == page, "run `python docs/site_pages.py`"
    shown = "".join((ROOT / name).read_text() for name in SHOWING)
    for path in (SCRIPT, DOCKERFILE):
        assert path.read_text() in shown


def test_the_image_is_made_of_what_the_checkout_has():
    """No docker runs here: what it copies is there, its extra exists, its Beam is the one that is pinned."""
    text, project = DOCKERFILE.read_text(), tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (copied,) = re.findall(r"^COPY (\S+) dist/tamiz-\*\.whl ", text, re.MULTILINE)
    assert (ROOT / copied).exists()
    (beam,) = re.findall(r"apache/beam_python3\.11_sdk:(\S+) AS", text)
    assert f"apache-beam=={beam}" in (ROOT / copied).read_text().splitlines()
    (extra,) = re.findall(r"\[(\w+)\]", text)
    assert extra in project["optional-dependencies"]
    assert project["requires-python"] == ">=3.11"


def test_pages_say_what_was_not_run_here():
    for page in ANYWHERE.glob("*.md"):
        assert re.search(r"not run here", page.read_text(), re.IGNORECASE), page


def test_every_command_on_the_pages_is_one_that_is_parsed():
    """An indented block isn't seen by test_docs."""
    for page in PAGES:
        fences = re.findall(r"^ *```\w+$", page.read_text(), re.MULTILINE)
        assert all(fence.startswith("`") for fence in fences), page
