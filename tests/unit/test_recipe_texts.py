"""What `tamiz recipes` prints: TOML that runs, and the schema of recipes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from corpora.choices import Choices
from corpora.errors import BadArgument
from tamiz.recipes.describe import documentation, json_schema, page
from tamiz.recipes.load import HOME, load
from tamiz.recipes.problems import choice_of
from tamiz.recipes.write import as_toml
from tamiz.stages import ordered
from tests.command import tamiz
from tests.conftest import ROOT

T5 = "t5-spanish-efficient-tiny"

OWN = """
name = "mine"
title = 'says "hello" \\ # no comment'
language = "pt"
[[documents]]
input = ["a/*.jsonl", 'C:\\b"c.txt']
blank_lines = true
[[documents]]
source = "mc4-es"
[lm]
file = "es.bin"
tokenizer = "es.model"
[score]
mode = "ccnet"
[sample]
method = "buckets"
percentiles = [10, 90.5]
keep = {es = 0.5, "*" = 0.25, "pt-BR" = 1e-9}
[tokenizer]
extra_ids = 300
vocab_size = 9000
[shards]
objective = "ul2"
[[shards.denoisers]]
name = "R"
noise_density = 0.15
mean_noise_span_length = 3.0
[[shards.denoisers]]
name = "S"
noise_density = 0.25
share = 2.5
mean_noise_span_length = 8.0
[model]
[train]
steps = 5
betas = [0.5, 0.75]
[sources]
"train.steps" = "a\\nsource of two lines # with a hash"
"""


def shown(recipe):
    """As loaded from what is printed."""
    return "\n".join(as_toml(recipe)) + "\n"


@pytest.mark.parametrize(("demo", "parameters"), [(False, "7,176,896"), (True, "810,752")])
def test_what_is_shown_is_the_recipe(demo, parameters, tmp_path):
    recipe = load(T5, demo=demo)
    (tmp_path / "own.toml").write_text(shown(recipe))
    own = load(str(tmp_path / "own.toml"))
    assert structs.asdict(own.train) == structs.asdict(recipe.train)
    assert (own.documents, own.sections, own.title) == (recipe.documents, recipe.sections, recipe.title)
    assert f"\n# {parameters} parameters\n" in shown(recipe) or "must be installed" in shown(recipe)


def test_all_kinds_of_values_survive(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    recipe = load(str(tmp_path / "own.toml"))
    assert recipe.sample.keep["pt-BR"] == 1e-9
    text = shown(recipe)
    (tmp_path / "again.toml").write_text(text)
    again = load(str(tmp_path / "again.toml"))
    assert {**again.asdict(), "sources": 0} == {**recipe.asdict(), "sources": 0}
    assert "steps = 5    # a source of two lines # with a hash" in text
    assert "batch_size = 32    # tamiz's default" in text
    assert "vocab_size = 9000    # no source is given" in text


def test_a_folder_and_a_file_of_a_run_are_shown(tmp_path, capsys):
    recipe = load(T5, overrides=["train.steps=7"])
    saved = tmp_path / "run" / "recipe.json"
    saved.parent.mkdir()
    saved.write_bytes(msgspec.json.encode(recipe.asdict()))
    for name in (saved.parent, saved):
        assert load(str(name)) == recipe  # its sources, too
        code, shown, _ = tamiz(capsys, "recipes", "show", name, "--set", "train.seed=5")
        assert code == 0
        printed = tomllib.loads(shown)
        assert (printed["train"]["steps"], printed["train"]["seed"]) == (7, 5)
    with pytest.raises(BadArgument, match="--demo is a variant of bundled recipes"):
        load(str(saved), demo=True)
    with pytest.raises(BadArgument, match=r"is a folder without recipe\.json"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"recipe\.json can't be read"),
        ("[]", "is no recipe"),
        ('{"documents": 5, "tokenizer": {"seed": "x"}}', r"recipe\.json: documents is 5.* \| tokenizer\.seed is 'x'"),
        ('{"tokenizer": [], "documents": [5]}', r"recipe\.json: "),
        ('{"name": 5, "sources": {"a": 1}}', "name is 5; it must be a text"),
        ("\xff", r"recipe\.json can't be read"),
        ('{"tokenizer": {"kind": {}}}', "kind is"),
        ('{"sample": {"method": 5}, "lm": null, "model": {"family": []}}', "method is 5; it must be one of gaussian"),
    ],
)
def test_damaged_recipes_are_named(content, message, tmp_path):
    (tmp_path / "recipe.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(BadArgument, match=message):
        load(str(tmp_path))


def test_the_schema_page_is_up_to_date():
    assert (ROOT / "docs" / "recipe-schema.md").read_text() == page(), "run python docs/site_pages.py"


def test_each_key_is_explained_and_bounds_are_those_of_the_checks():
    text = page()
    assert "| `steps` | an integer, at least 1 | required | Number of updates of the weights. |" in text
    assert "| `order` | an integer, 2 to 6 | `5` |" in text
    assert "`vocab_size` | an integer, at least 3 | that of tokenizer.vocab_size |" in text
    for stage in ordered():
        for section in stage.sections:
            for kind in section.kind if isinstance(section.kind, Choices) else [section.kind]:
                assert documentation(kind).keys() >= {*kind.__struct_fields__}, kind


def test_the_json_schema_covers_the_bundled_recipes():
    schema = json.loads(json.dumps(json_schema()))
    for path in sorted(Path(HOME).glob("*.toml")):
        tree = tomllib.loads(path.read_text())
        assert tree.keys() <= schema["properties"].keys()
        for name, table in tree.items():
            rules = schema["properties"][name]
            options = [rules, *rules.get("anyOf", [])]
            known = [set(option.get("properties", ())) for option in options]
            assert (
                not isinstance(table, dict)
                or name in ("sources", "published")
                or any(table.keys() <= keys for keys in known)
            )
    assert schema["properties"]["train"]["properties"]["steps"] == {
        "type": "integer",
        "description": "Number of updates of the weights.",
    }


def test_what_a_key_takes_is_described_without_a_guess_at_what_was_meant():
    """`on` is near `None`."""
    assert choice_of(["auto", "on", "off"], None) == "one of auto, on, off"
    assert choice_of(["auto", "on", "off"], "onn") == "one of auto, on, off; did you mean on?"
