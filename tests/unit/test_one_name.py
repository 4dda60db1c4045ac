"""tamiz, installed from its wheel, beside packages and folders of other people that use the same names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
PACKAGES = ("corpora", "tokenizer_train", "pipelines", "tamiz")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder that tamiz's wheel is installed into; built from a copy, so that the checkout gets no build folder."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    options = ["--no-deps", "--no-index"]
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    build = [*pip, "wheel", *options, "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    subprocess.run(build, check=True)
    [wheel] = wheels.glob("*.whl")
    subprocess.run([*pip, "install", *options, "--no-compile", "--target", str(target), str(wheel)], check=True)
    return target


def tamiz(*path: Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m tamiz recipes` with these folders first on the path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-m", "tamiz", "recipes"]
    return subprocess.run(command, cwd=cwd or path[-1].anchor, env=environment, capture_output=True, text=True)


def package(folder: Path, name: str) -> Path:
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    (home / "__init__.py").write_text("raise SystemExit('imported from a stranger')")
    return home


def test_the_wheel_brings_four_packages_and_works(site):
    assert {p.name for p in site.iterdir() if p.is_dir() and ".dist-info" not in p.name} == {*PACKAGES, "bin"}
    assert (site / "tamiz" / "recipes" / "t5-spanish-efficient-tiny.mmarco-es.toml").is_file()
    done = tamiz(site)
    assert done.returncode == 0, done.stderr
    assert "t5-spanish-efficient-tiny" in done.stdout


@pytest.mark.parametrize("name", ["trainer", "recipes"])
def test_packages_that_use_our_old_names_may_come_and_go(site, name):
    home = package(site, name)
    assert tamiz(site).returncode == 0
    shutil.rmtree(home)
    assert tamiz(site).returncode == 0


@pytest.mark.parametrize("name", ["corpora", "pipelines", "tokenizer_train"])
def test_a_package_that_hides_ours_is_named(site, tmp_path, name):
    home = package(tmp_path, name)
    for done in (tamiz(tmp_path, site), tamiz(site, cwd=tmp_path)):
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {home.resolve()} hides tamiz's package {name!r} ({site / name})")
        assert len(done.stderr.splitlines()) == 1


def test_a_module_that_hides_ours_is_named(site, tmp_path):
    (tmp_path / "corpora.py").write_text("raise SystemExit('imported from a stranger')")
    done = tamiz(site, cwd=tmp_path)
    assert (done.returncode, done.stderr.startswith(f"error: {tmp_path.resolve() / 'corpora.py'} hides")) == (1, True)


def test_a_folder_of_data_hides_nothing(site, tmp_path):
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "es.jsonl").write_text("{}")
    assert tamiz(site, cwd=tmp_path).returncode == 0


def test_a_package_installed_over_ours_is_noticed(site):
    path = site / "corpora" / "__init__.py"
    own = path.read_bytes()
    package(site, "corpora")
    done = tamiz(site)
    assert done.returncode == 1
    assert "another package that was installed has replaced it" in done.stderr
    path.unlink()  # as its removal does
    assert tamiz(site).returncode == 1
    path.write_bytes(own)
    assert tamiz(site).returncode == 0
