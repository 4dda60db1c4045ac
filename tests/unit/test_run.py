"""`tamiz run`: what it says before work, and continuing by the folder of a run."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import pytest

from corpora.documents.items import work_items
from corpora.errors import BadArgument, StaleOutput, TamizError
from tamiz import before
from tamiz.recipes.load import load
from tamiz.run import Run
from tamiz.stages import Context, Plan, common, ordered
from tests.command import tamiz
from tests.conftest import DEMO

T5 = "t5-spanish-efficient-tiny"
BYTES = """
[documents]
input = "{input}"
[tokenizer]
kind = "bytes"
vocab_size = 259
extra_ids = 0
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A recipe that takes no time: a byte tokenizer."""
    path = tmp_path / "own.toml"
    path.write_text(BYTES.format(input=DEMO / "clean.jsonl"))
    return path


def test_a_run_continues_by_its_folder(own, tmp_path, capsys):
    out = tmp_path / "runs" / "short"
    assert tamiz(capsys, "run", own, "--set", "title=Bytes", "--out", out)[0] == 0
    saved = (out / "recipe.json").read_bytes()
    own.unlink()
    for again in (out, out / "recipe.json"):
        code, said, _ = tamiz(capsys, "run", again)
        assert (code, (out / "recipe.json").read_bytes()) == (0, saved)
        assert "already finished" in said
        assert f"Bytes: {out}" in " ".join(said.split())
    code, _, error = tamiz(capsys, "run", out, "--set", "tokenizer.extra_ids=5", "--set", "tokenizer.vocab_size=264")
    assert (code, "extra_ids: 0 -> 5" in error) == (1, True)
    assert tamiz(capsys, "run", out, "--until", "train")[0] == 2
    assert f"`tamiz run {out}` continues the run there" in tamiz(capsys, "run", "--out", out)[2]


def test_other_settings_than_last_time_are_told_at_once(own, tmp_path, capsys):
    out = tmp_path / "run"
    assert tamiz(capsys, "run", own, "--set", "title=Bytes", "--set", "language=es", "--out", out)[0] == 0
    said = tamiz(capsys, "run", own, "--out", out)[1]
    assert "documents.input" not in said
    changed = 'language: "es" -> ""; title: "Bytes" -> "own"'
    assert f"{out} was last run with another recipe ({changed}): `tamiz run {out}` repeats that run" in said
    assert "was last run" not in tamiz(capsys, "run", own, "--out", out)[1]
    changed = f'documents.input=["{DEMO / "clean.jsonl"}"]'  # a list is a list, also after JSON
    assert tamiz(capsys, "run", own, "--out", out, "--set", changed)[0] == 0
    assert "was last run" not in tamiz(capsys, "run", own, "--out", out, "--set", changed)[1]


def test_a_folder_of_another_recipe_is_refused_with_one_advice(own, tmp_path):
    out = tmp_path / "run"
    Run(load(str(own)), out, Context()).stages()
    with pytest.raises(StaleOutput) as refused:
        Run(load(str(own), overrides=["name=other"]), out, Context()).stages()
    assert str(refused.value) == (
        f"{out} is a run of own, not a run of other: choose another --out, "
        f"or continue that run with `tamiz run {out}`"
    )
    with pytest.raises(StaleOutput, match=r"is of stage 'tokenizer', not a run of own: choose another --out$"):
        Run(load(str(own)), out / "tokenizer", Context()).stages()


def test_secrets_in_addresses_are_not_kept(own, tmp_path):
    recipe = load(str(own), overrides=["reference=https://me:pa55w0rd@host/a", "title=a:b@c"])
    out = tmp_path / "run"
    Run(recipe, out, Context()).stages()
    saved = json.loads((out / "recipe.json").read_bytes())
    assert (saved["reference"], saved["title"]) == ("https://***@host/a", "a:b@c")
    assert all(b"pa55w0rd" not in path.read_bytes() for path in out.rglob("*") if path.is_file())
    with pytest.raises(BadArgument, match=r"reference is https://\*\*\*@host/a, without its secret: give it with"):
        load(str(out))
    again = load(str(out), overrides=["reference=https://host/a"])
    assert again.reference == "https://host/a"


def lines(overrides: list[str], out: Path, input: Path) -> list[str]:
    recipe = load(T5, demo=True, overrides=[f"documents.input={input}", *overrides])
    plan = Plan(recipe, out, tuple(stage for stage in ordered() if stage.runs_in(recipe)))
    return list(before.lines(plan, plan.stages, work_items(recipe.inputs)))


def test_before_work_it_says_what_it_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(64))
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "uno"}\n' * 10**5)
    (tmp_path / "b.jsonl").write_bytes(b"")
    first, documents, lm, train, disk = lines(
        ["train.steps=65536", "train.batch_size=32"], tmp_path / "run", tmp_path / "*.jsonl"
    )
    assert first.endswith("/run: lm, score, sample, tokenizer, shards, train")
    assert documents == "  documents: 2 files, 1.6 MB to read"
    assert lm == "  lm: 1 file, 201.7 kB to read"
    assert train == ("  train: 65,536 steps of 32 rows of 128 ids; on a CPU, 2 of 64 cores work (train.num_threads)")
    assert disk.startswith("  disk: about 2.1 MB will be written to ")


def test_documents_are_listed_once_before_work(tmp_path, monkeypatch):
    listed = []
    monkeypatch.setattr(common, "work_items", lambda inputs: listed.append(inputs) or work_items(inputs))
    recipe = load(T5, demo=True)
    stages = [stage for stage in ordered() if stage.runs_in(recipe)]
    plan = Plan(recipe, tmp_path / "run", tuple(stages))
    for stage in stages:
        if stage.before and stage.name != "train":
            stage.before(plan)
    list(before.lines(plan, plan.stages, plan.items(recipe.inputs)))
    assert len(listed) == 2  # those of the language model, and the others


def test_a_disk_that_is_clearly_too_small_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "uno"}\n' * 10**5)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**6, 0, 10**5))
    with pytest.raises(TamizError, match=r"where 100\.0 kB are free: choose an --out on another disk"):
        lines([], tmp_path / "run", path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**7, 0, 10**6))
    lines([], tmp_path / "run", path)  # an estimate is no reason to refuse
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "made").write_bytes(bytes(3 * 10**6))  # most of it is there already
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**6, 0, 10))
    lines([], tmp_path / "run", path)


def test_reading_over_the_network_is_told():
    item = work_items([str(DEMO / "clean.jsonl")])[0]
    remote = [
        type(item)(**{**item.asdict(), "path": f"hf://datasets/allenai/c4/multilingual/{n}.json.gz", "size": size})
        for n, size in enumerate((10**12, 10**9, 0))
    ]
    assert before.described(remote) == (
        "3 files, 1.0 TB to read, 1 of unknown size, over the network from hf://datasets/allenai/c4 "
        "(--set documents.input=PATTERN names other files)"
    )


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("hf://datasets/allenai/c4@refs/convert/parquet/es/0.parquet", "hf://datasets/allenai/c4@refs"),
        ("ftp://me:pa55/w0/rd@host/folder/file.jsonl", "ftp://***@host/folder/file.jsonl"),
        ("https://host/file.jsonl?token=pa55w0rd", "https://host/file.jsonl?token=***"),
    ],
)
def test_the_place_of_remote_documents_has_no_secret(path, place):
    item = work_items([str(DEMO / "clean.jsonl")])[0]
    said = before.described([type(item)(**{**item.asdict(), "path": path})])
    assert f"over the network from {place} (" in said
