"""`tamiz train` and `tamiz generate`: where settings come from, and which mistakes they name."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest

from corpora import manifest
from corpora.errors import BadArgument
from corpora.manifest import MadeFrom
from tamiz.recipes.load import load
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tests.command import tamiz
from tests.make_shards import MODEL, VOCAB_SIZE, make_home

pytestmark = pytest.mark.usefixtures("quick_plots")

RECIPE = "t5-spanish-efficient-tiny"
CAUSAL = ["shards.objective=causal", "shards.sequence_length=568"]
NOISE = "train.span_corruption={noise_density = 0.15}"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("home"), MODEL)


def train(capsys, home, model, out, *more):
    return tamiz(capsys, "train", "--shards", home / "shards", "--model", model, "--out", home / out, *more)


def test_steps_replace_those_of_the_file(capsys, home):
    assert train(capsys, home, home / "m.toml", "model", "--steps", 2)[0] == 0
    assert json.loads((home / "model/metrics.json").read_bytes())["steps"] == 2


def test_several_folders_may_follow_one_flag(capsys, home, tmp_path):
    code, _, error = tamiz(
        capsys, "train", "--shards", home / "shards", tmp_path, "--model", home / "m.toml", "--out", tmp_path / "out"
    )
    assert (code, error.count("\n")) == (1, 1)
    assert str(tmp_path) in error
    assert "unexpected" not in error


@pytest.mark.parametrize("stage", ["shards", "shards/ko"])
def test_a_run_in_place_of_its_shards_is_told_which_folder_to_name(capsys, home, tmp_path, monkeypatch, stage):
    monkeypatch.chdir(tmp_path)
    begun = MadeFrom(stage="run", algorithm=1, settings={}, inputs=[])
    manifest.begin(tmp_path / "run", begun)
    manifest.finish(tmp_path / "run", records=[])
    shutil.copytree(home / "shards", tmp_path / "run" / stage)
    for command in (("train", "--model", home / "m.toml", "--out", "none", "--shards"), ("shards", "inspect")):
        code, _, error = tamiz(capsys, *command, "run")
        assert code == 1
        assert error == f"error: run holds the output of 'run'; that of 'shards' is needed: name run/{stage}\n"
        assert tamiz(capsys, *command, "rum")[::2] == (1, "error: rum doesn't exist: check its name\n")


def test_a_rate_that_never_stops_rising_is_told_before_the_training(capsys, home):
    (home / "ramp.toml").write_text(MODEL + "ramp_steps = 100\n")
    code, _, error = train(capsys, home, home / "ramp.toml", "rising")
    assert code == 0
    assert error.count("train.ramp_steps is 100, and train.steps 3") == 1
    assert "warning" not in train(capsys, home, home / "ramp.toml", "rising")[2]  # finished


def test_a_model_file_without_a_vocabulary_has_that_of_the_shards(capsys, home):
    (home / "none.toml").write_text(MODEL.replace(f"vocab_size = {VOCAB_SIZE}\n", ""))
    code, _, error = train(capsys, home, home / "none.toml", "shards_vocabulary")
    assert code == 0, error
    assert json.loads((home / "shards_vocabulary/config.json").read_bytes())["vocab_size"] == VOCAB_SIZE


@pytest.mark.parametrize("steps", [0, -1])
def test_steps_out_of_bounds_are_refused_and_never_ignored(capsys, home, steps):
    code, out, error = train(capsys, home, home / "m.toml", "none", "--steps", steps)
    assert (code, out) == (2, "")
    assert f"steps is {steps}; it must be at least 1" in error
    code, _, error = train(capsys, home, RECIPE, "none", "--steps", steps)
    assert code == 2
    assert f"steps is {steps}; it must be at least 1" in error
    assert not (home / "none").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MODEL.replace("steps = 3\n", ""), "has no train.steps: add it, or pass --steps"),
        ("[train]\nsteps = 3", "has no section [model]: add it; a section [train] is optional"),
        (MODEL + "[modle]\n", "has modle: it may only have the sections [model] and [train]"),
        (MODEL.replace("d_model = 16", "d_model = 0"), "model.d_model is 0; it must be at least 1"),
        (MODEL.replace("d_model = 16", 'd_model = "x"'), "model.d_model is 'x'; it must be an integer, at least 1"),
        (MODEL.replace("d_model = 16", "d_mode = 16"), "model.d_mode: no such key"),
        (MODEL.replace("d_model = 16", "rms_norm_eps = 1"), "model.rms_norm_eps is for family llama, not t5"),
    ],
)
def test_a_model_files_mistakes_are_named(capsys, home, tmp_path, text, message):
    (tmp_path / "m.toml").write_text(text)
    code, out, error = train(capsys, home, tmp_path / "m.toml", "none")
    assert (code, out, len(error.strip().splitlines())) == (2, "", 1)
    assert message in error


def test_a_recipe_trains_a_t5_from_causal_shards():
    """Rows are corrupted anew in each epoch."""
    recipe = load(RECIPE, overrides=[*CAUSAL, NOISE])
    assert recipe.model == T5(vocab_size=5000)
    assert recipe.train.span_corruption is not None
    assert recipe.shards.objective == "causal"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (CAUSAL, r"shards\.objective is 'causal', .*train\.span_corruption"),
        ([NOISE], r"train\.span_corruption corrupts causal rows, but shards\.objective is 'span-corruption'"),
        (
            [*CAUSAL[:1], "shards.sequence_length=563", NOISE],
            r"span_corruption: rows of 563 ids .* 562 or 564",
        ),
        ([*CAUSAL, NOISE, "tokenizer.extra_ids=20"], r"28 noise spans, .* 20 sentinels"),
        ([*CAUSAL, NOISE, "shards.packing=best-fit"], r"needs full rows, but shards\.packing leaves some rows short"),
        ([*CAUSAL, NOISE, "shards.character_borders=true"], r"shards\.character_borders leaves some rows short"),
    ],
)
def test_causal_shards_that_a_t5_cannot_take_are_refused(overrides, message):
    with pytest.raises(BadArgument, match=message):
        load(RECIPE, overrides=overrides)


def test_a_recipe_of_another_family(tmp_path):
    from tamiz.recipes.load import HOME, parse

    tree = parse(HOME / f"{RECIPE}.toml")
    lines = (HOME / f"{RECIPE}.toml").read_text().splitlines()
    start = lines.index("[model]")
    end = next(n for n in range(start + 1, len(lines)) if lines[n].startswith("["))
    section = ["[model]", 'family = "llama"', "vocab_size = 5000", "max_position_embeddings = 512"]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join([*lines[:start], *section, *lines[end:]]))
    with pytest.raises(BadArgument, match=r"shards\.objective is 'span-corruption', but .* llama needs 'causal'"):
        load(str(path))
    recipe = load(str(path), overrides=["shards.objective=causal", "shards.sequence_length=513"])
    assert recipe.model == Llama(vocab_size=5000, max_position_embeddings=512)
    assert tree["model"]["family"] == "t5"
    with pytest.raises(BadArgument, match=r"mine: model\.num_layers is 'many'; it must be an integer, at least 1"):
        load(str(path), overrides=["model.num_layers=many"])


def test_generate_fills_every_span(capsys, home):
    assert train(capsys, home, home / "m.toml", "filler")[0] == 0
    text = "palabra0  <extra_id_0> palabra1 <extra_id_1>"
    code, out, _ = tamiz(capsys, "generate", home / "filler", text, "--max-new-tokens", 3)
    assert code == 0
    before, between = "palabra0  ", " palabra1 "
    assert out.startswith(before)
    first, _, second = out.removeprefix(before).rstrip("\n").partition(between)
    assert 1 <= len(first.split()) <= 3
    assert 1 <= len(second.split()) <= 3
    assert "extra_id" not in out
    assert tamiz(capsys, "generate", home / "filler", text, "--max-new-tokens", 3)[1] == out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("palabra0", "the text has no span to fill: write <extra_id_0>"),
        ("<extra_id_1>", "the text has the spans <extra_id_1>; number them <extra_id_0>"),
        ("<extra_id_0> <extra_id_0>", "number them <extra_id_0> <extra_id_1>"),
        (
            " ".join(f"<extra_id_{n}>" for n in range(5)),
            "the tokenizer has no <extra_id_4>",
        ),
    ],
)
def test_a_text_that_cannot_be_filled_is_refused(capsys, home, text, message):
    if not (home / "filler").exists():
        train(capsys, home, home / "m.toml", "filler")
    code, out, error = tamiz(capsys, "generate", home / "filler", text)
    assert (code, out, len(error.strip().splitlines())) == (2, "", 1)
    assert message in error


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_file_of_a_model_is_named(capsys, home, tmp_path, name):
    if not (home / "filler").exists():
        train(capsys, home, home / "m.toml", "filler")
    shutil.copytree(home / "filler", tmp_path / "m")
    os.truncate(tmp_path / "m" / name, (tmp_path / "m" / name).stat().st_size - 100)
    code, out, error = tamiz(capsys, "generate", tmp_path / "m", "a <extra_id_0>")
    assert (code, out, len(error.strip().splitlines())) == (1, "", 1)
    assert re.match(rf"error: .*{tmp_path}/m.* is damaged \(.*\): copy the model again", error)


def test_a_folder_without_a_model_is_refused(capsys, tmp_path):
    code, _, error = tamiz(capsys, "generate", tmp_path, "x")
    assert (code, f"{tmp_path} has no trained model" in error) == (2, True)
    code, _, error = tamiz(capsys, "generate", tmp_path / "none", "hola")
    assert (code, f"{tmp_path}/none is not a folder: name the folder" in error) == (2, True)
    (tmp_path / "run/model").mkdir(parents=True)
    (tmp_path / "run/model/config.json").write_text("{}")
    code, _, error = tamiz(capsys, "generate", tmp_path / "run", "hola")
    assert (code, f"has no trained model: name {tmp_path}/run/model\n" in error) == (2, True)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    code, _, error = tamiz(capsys, "generate", tmp_path, "x")
    assert (code, "has model_type 'bert', which no family has; known model types: t5, llama" in error) == (2, True)
    (tmp_path / "config.json").write_text("{")
    assert tamiz(capsys, "generate", tmp_path, "x")[0] == 1
