"""What is published: types, version, help, and the source distribution."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib import import_module
from importlib.metadata import version

import pytest

import tamiz
from tests.conftest import ROOT

PACKAGES = ("corpora", "tokenizer_train", "pipelines", "tamiz")
LAZY = (
    "corpora.encoding", "corpora.perplexity", "corpora.rows", "corpora.sampling", "corpora.tokens.objectives",
    "pipelines", "tamiz", "tamiz.trainer",
)  # fmt: skip
SHIPPED = (
    ".ci", "benchmarks", "docs", "examples", "tests", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE",
    "MANIFEST.in", "Makefile", "README.md", "constraints.txt", "mkdocs.yml", "pyproject.toml", *PACKAGES,
)  # fmt: skip


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed_and_says_so(package):
    assert (ROOT / package / "py.typed").is_file()
    assert "py.typed" in project()["tool"]["setuptools"]["package-data"][package]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_is_one():
    stated = project()["project"]["version"]
    assert (tamiz.__version__, version("tamiz")) == (stated, stated)
    assert f"\nversion: {stated}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize("name", LAZY)
def test_names_that_are_imported_lazily_are_listed(name):
    """dir(), help() and completion see them."""
    module = import_module(name)
    assert set(module.__all__) <= set(dir(module))
    assert all(hasattr(module, n) for n in module.__all__)


def test_help_shows_what_is_imported_lazily():
    import pydoc

    text = pydoc.render_doc("corpora.sampling", renderer=pydoc.plaintext)
    assert "keep(table" in text
    assert "class Gaussian" in text


@pytest.mark.slow
def test_the_source_distribution_can_be_tested_and_read(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in SHIPPED:
        path = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(path, source / name, ignore=ignore) if path.is_dir() else shutil.copy(path, source)
    build = "from setuptools.build_meta import build_sdist; import sys; build_sdist(sys.argv[1])"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, env=environment, check=True, capture_output=True
    )
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {n.split("/", 1)[1] for n in files.getnames() if "/" in n}
    wanted = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
    wanted = {n for n in wanted if ".egg-info" not in n}
    assert wanted <= names


def test_the_demo_needs_the_extra_train_alone():
    """No compiler, no development tools."""
    rules = (ROOT / "Makefile").read_text()
    assert "\ndemo: $(VENV)/.for-demo\n" in rules
    [installed] = [line for line in rules.splitlines() if "--editable '.[train]'" in line]
    assert "--quiet" not in installed
