"""A manifest that says something else than it should, with a right checksum: one line with file, key and remedy."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from corpora import checksum
from tests.command import exit_code, tamiz
from tests.conftest import DEMO
from tests.make_scores import Scored, write_scored

RAW = ("TypeError", "KeyError", "AttributeError", "ValueError", "IndexError", "Traceback", "debug shows")
WRONG: list[Any] = [None, "x", -7, [], {}, 1e300, True]
RECIPE = """
[documents]
input = "{input}"
[tokenizer]
kind = "bytes"
vocab_size = 259
extra_ids = 0
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scores/ and sampled/ of some documents, and run/, which trained a byte tokenizer."""
    home = tmp_path_factory.mktemp("home")
    rows = [Scored(f"uno {n}", None, 10.0 + n) for n in range(40)]
    _, scores = write_scored(home, {"es.jsonl": rows})
    (home / "own.toml").write_text(RECIPE.format(input=DEMO / "clean.jsonl"))
    sample = ["sample", "--input", str(home / "in" / "*.jsonl"), "--scores", str(scores), "--keep", "0.5"]
    for command in (
        [*sample, "--out", str(home / "sampled")],
        ["run", str(home / "own.toml"), "--out", str(home / "run")],
    ):
        assert exit_code(*command) == 0
    return home


def edit(path: Path, keys: tuple[str | int, ...], value: Any) -> None:
    """value: ... to delete the key."""
    content = json.loads(path.read_bytes())
    content.pop("checksum")
    place = content
    for key in keys[:-1]:
        place = place[key]
    if value is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_bytes(checksum.sign(json.dumps(content, indent=1).encode()))


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("counts", "rejected"), "x", "counts.rejected"),
        (("counts", "read"), [], "counts.read"),
        (("counts", "kept"), ..., "kept"),
        (("facts", "vocab_size"), {}, "facts.vocab_size"),
        (("facts", "documents"), ..., "documents"),
        (("facts",), ..., "`kind` - at `facts`"),
    ],
)
def test_of_a_tokenizer_in_a_run(home, tmp_path, capsys, keys, value, named):
    shutil.copytree(home / "run", tmp_path / "run")
    edit(tmp_path / "run" / "tokenizer" / "manifest.json", keys, value)
    code, _, error = tamiz(capsys, "run", tmp_path / "run")
    assert code == 1
    assert error.startswith(f"error: {tmp_path}/run/tokenizer/manifest.json is damaged (")
    assert named in error
    assert error.endswith("): pass --rebuild to make its folder again\n")


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("facts", "composition"), {}, "facts.composition"),
        (("facts", "kept_shares", 0), ..., "facts.kept_shares"),
        (("facts", "quartiles", 1), ..., "facts.quartiles"),
        (("facts", "parts"), [{"file": "part-00000.parquet"}], "facts.parts[0]"),
        (("facts", "kept_shares", 0), [], "facts.kept_shares[0]"),
        (("facts", "groups", "unknown"), True, "facts.groups[...]"),
        (("facts", "groups", "unknown", "kernel"), 1e300, "facts.groups[...].kernel"),
        (("counts", "sampled_out"), ..., "sampled_out"),
    ],
)
def test_of_a_sample(home, tmp_path, capsys, keys, value, named):
    for name in ("scores", "sampled"):
        shutil.copytree(home / name, tmp_path / name)
    edit(tmp_path / "sampled" / "manifest.json", keys, value)
    code, _, error = tamiz(capsys, "report", tmp_path / "sampled", "--scores", tmp_path / "scores")
    assert code == 1
    assert f"{tmp_path}/sampled/manifest.json is damaged (" in error
    assert named in error


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    return [*([path] if path else []), *(place for key, below in inner for place in places(below, (*path, key)))]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("target", ["sampled/manifest.json", "run/tokenizer/manifest.json", "run/manifest.json"])
def test_any_change_is_told_without_a_word_of_python(home, tmp_path, capsys, target, seed):
    for name in ("scores", "sampled", "run"):
        shutil.copytree(home / name, tmp_path / name)
    drawn = random.Random(f"{target} {seed}")
    content = json.loads((tmp_path / target).read_bytes())
    del content["checksum"]
    edit(tmp_path / target, drawn.choice(places(content)), drawn.choice([..., *WRONG]))
    for command in (["verify", tmp_path], ["run", tmp_path / "run"]):
        code, _, error = tamiz(capsys, *command)
        assert code in (0, 1, 2)
        assert not [word for word in RAW if word in error], error
