"""Recipes that say less than the whole way from text to model, and more than one source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora import manifest
from corpora.errors import BadArgument, StaleOutput
from tamiz.recipes.load import load
from tamiz.run import Run
from tamiz.stages import Context
from tamiz.verify import verify
from tests.conftest import DEMO

pytestmark = pytest.mark.slow

SEVERAL = """
title = "Two sources"
[[documents]]
input = "{folder}/first*.jsonl"
[[documents]]
input = ["demo:clean.jsonl"]
[tokenizer]
kind = "bpe"
vocab_size = 700
extra_ids = 20
[shards]
objective = "span-corruption"
sequence_length = 64
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Documents of two sources -> tokenizer -> shards."""
    folder = tmp_path_factory.mktemp("several")
    lines = (DEMO / "documents.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "first-0.jsonl").write_bytes(b"".join(lines[:50]))
    recipe = load(written(folder, SEVERAL.format(folder=folder)))
    reports = Run(recipe, folder / "run", Context()).stages()
    assert [report.stage for report in reports] == ["tokenizer", "shards"]
    return folder


def test_every_stage_reads_all_sources(whole):
    clean = len((DEMO / "clean.jsonl").read_bytes().splitlines())
    for name in ("tokenizer", "shards"):
        content = manifest.read(whole / "run" / name)
        assert content.counts["read"] == 50 + clean
        assert [identity.name for identity in content.made_from.inputs] == ["clean.jsonl", "first-0.jsonl"]
    assert verify(whole / "run")[1] == []
    said = json.loads((whole / "run" / "recipe.json").read_bytes())
    assert [source["input"] for source in said["documents"]] == [f"{whole}/first*.jsonl", ["demo:clean.jsonl"]]
    assert "lm" not in said


def test_until_and_again(whole):
    recipe = load(str(whole / "mine.toml"))
    reports = Run(recipe, whole / "run", Context()).stages("tokenizer")
    assert [(report.stage, report.state) for report in reports] == [("tokenizer", "finished")]
    changed = load(str(whole / "mine.toml"), overrides=["documents.1.input=", "documents.1.source=mc4-es"])
    with pytest.raises(BadArgument, match="until train: the stages of mine are tokenizer, shards"):
        Run(changed, whole / "run", Context()).stages("train")
    other = load(str(whole / "mine.toml"), overrides=["name=other"])
    with pytest.raises(StaleOutput, match="is a run of mine, not a run of other: choose another --out"):
        Run(other, whole / "run", Context()).stages()


@pytest.mark.parametrize("file", ["byt5", "{whole}/run/tokenizer", "{whole}/run/tokenizer/tokenizer.json"])
def test_a_tokenizer_that_is_brought(whole, tmp_path, file):
    file = file.format(whole=whole)
    overrides = [f"tokenizer.file={file}", "shards.mean_noise_span_length=5"]
    recipe = load(str(whole / "mine.toml"), overrides=overrides)
    brought, shards = Run(recipe, tmp_path / "run", Context()).stages()
    assert (brought.state, brought.rows[0][0]) == ("finished", "existing, sha256")
    assert not (tmp_path / "run" / "tokenizer").exists()
    assert shards.facts["vocab_size"] == (384 if file == "byt5" else 700)
    assert verify(tmp_path / "run")[1] == []


def test_a_missing_tokenizer_is_refused_before_any_work(whole, tmp_path):
    recipe = load(str(whole / "mine.toml"), overrides=[f"tokenizer.file={tmp_path / 'none'}"])
    with pytest.raises(BadArgument, match="no tokenizer"):
        Run(recipe, tmp_path / "run", Context()).stages()
    assert not (tmp_path / "run").exists()


def test_a_model_needs_a_folder_with_its_tokenizer(whole, tmp_path):
    file = whole / "run" / "tokenizer" / "tokenizer.json"
    more = [f"tokenizer.file={file}", "train.steps=1", "model.vocab_size=700"]
    recipe = load(str(whole / "mine.toml"), overrides=more)
    with pytest.raises(BadArgument, match=r"train needs a folder with tokenizer\.json, GPT-2's files or byt5, but"):
        Run(recipe, tmp_path / "run", Context()).stages()


def test_a_recipe_of_a_language_model_alone(tmp_path):
    recipe = load(written(tmp_path, '[lm]\ninput = "demo:clean.jsonl"\nwords = true\norder = 2'))
    [report] = Run(recipe, tmp_path / "run", Context()).stages()
    assert (report.stage, report.state) == ("lm", "new")
    assert verify(tmp_path / "run")[1] == []


EXPORTED = """
title = "Exported"
[[documents]]
input = ["demo:clean.jsonl"]
[tokenizer]
kind = "bpe"
vocab_size = 700
[shards]
objective = "causal"
sequence_length = 65
[model]
family = "{family}"
[train]
steps = 1
batch_size = 4
[export]
to = ["gguf"]
[export.options.gguf]
precision = "q8_0"
"""
SMALL = "hidden_size = 64\nintermediate_size = 64\nnum_layers = 1\nnum_heads = 2"


def test_a_recipe_ends_with_exports(tmp_path):
    gguf = pytest.importorskip("gguf")
    text = EXPORTED.format(family="llama").replace('"llama"', f'"llama"\n{SMALL}').replace('["gguf"]', '"gguf"')
    recipe = load(written(tmp_path, text))
    reports = Run(recipe, tmp_path / "run", Context()).stages()
    assert [report.stage for report in reports][-2:] == ["train", "export"]
    reader = gguf.GGUFReader(tmp_path / "run" / "export" / "gguf" / "model-q8_0.gguf")
    assert reader.get_field("general.name").contents() == "run"  # and not its folder, "model"
    assert verify(tmp_path / "run")[1] == []
    assert Run(recipe, tmp_path / "run", Context()).stages()[-1].state == "finished"


def test_an_export_that_cannot_be_is_refused_before_any_work(tmp_path):
    pytest.importorskip("h5py")
    text = EXPORTED.replace('to = ["gguf"]', 'to = ["keras"]').partition("[export.options")[0]
    recipe = load(written(tmp_path, text.format(family="llama")))
    with pytest.raises(BadArgument, match=r"export\.to has 'keras', but the recipe's model is a Llama"):
        Run(recipe, tmp_path / "run", Context()).stages()
    assert not (tmp_path / "run").exists()


def test_options_of_an_export_are_checked_with_the_recipe(tmp_path):
    for old, new, message in (
        ('"q8_0"', '"q5"', "options.gguf.precision is 'q5'; it must be one of f16, q4_0, q8_0"),
        ("precision", "precison", "options.gguf.precison: no such key, did you mean options.gguf.precision?"),
        ('to = ["gguf"]', 'to = ["gguf", "kera"]', "to has 'kera'; it must be one of .*; did you mean keras"),
        ('to = ["gguf"]', 'to = ["nf4"]', "options.gguf is set, but to doesn't name gguf"),
    ):
        with pytest.raises(BadArgument, match=message):
            load(written(tmp_path, EXPORTED.format(family="llama").replace(old, new)))
