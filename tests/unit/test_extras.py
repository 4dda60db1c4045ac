"""The command that installs an extra names the place that tamiz came from: a checkout, a repository, a wheel."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import Distribution

import pytest

from corpora import extras
from tests.conftest import ROOT


class Installed(Distribution):
    def __init__(self, origin, requires=()):
        self._origin = origin
        self._requires = "".join(f"Requires-Dist: {text}\n" for text in requires)

    def read_text(self, filename):
        if filename == "direct_url.json":
            return self._origin and json.dumps(self._origin)
        return f"Name: tamiz\n{self._requires}" if filename == "METADATA" else None

    def locate_file(self, path):
        return path


def test_a_checkout_is_named_and_has_the_extra():
    assert extras.line("train").endswith(f"'{ROOT}[train]'")
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"train", "kenlm"} <= known.keys()


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (
            {"url": "https://me:pw@host/tamiz.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "pip install 'tamiz[train] @ git+https://host/tamiz.git@abc'",
        ),
        ({"url": "https://host/tamiz-1.whl", "archive_info": {}}, "pip install 'tamiz[train] @ https://host/tamiz-1.whl'"),
        ({"url": "file:///gone/tamiz", "dir_info": {}}, "pip install 'torch>=2.8' transformers"),
        (None, "pip install 'torch>=2.8' transformers"),
    ],
)  # fmt: skip
def test_other_origins(origin, command, monkeypatch, tmp_path):
    found = Installed(
        origin,
        ['torch>=2.8; extra == "train"', "numpy", "transformers ; extra == 'train'", 'kenlm; extra == "kenlm"'],
    )
    monkeypatch.setattr(extras, "distribution", lambda _: found)
    assert extras.line("train", tmp_path) == command


def test_a_folder_that_pip_installed_from(monkeypatch, tmp_path):
    origin = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    monkeypatch.setattr(extras, "distribution", lambda _: Installed(origin))
    assert extras.line("kenlm", tmp_path / "site-packages") == f"pip install -e '{tmp_path}[kenlm]'"
