"""Recipes: strict, sourced, overridable; every mistake named by its path."""

from __future__ import annotations

import pytest

from corpora.errors import BadArgument
from tamiz.recipes.load import load, names, patterns

T5 = "t5-spanish-efficient-tiny"
NOT_NUMBERS_OF_THE_SYSTEM = {"variants"}


def numbers(tree, path=""):
    for key, value in tree.items():
        here = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict):
            yield from numbers(value, here)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield here


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("demo", [False, True])
def test_every_number_has_a_source(name, demo):
    import tomllib

    from tamiz.recipes.load import HOME

    tree = tomllib.loads((HOME / f"{name}{'.demo' if demo else ''}.toml").read_text())
    sources = tree.pop("sources")
    assert sorted(set(numbers(tree)) - set(sources)) == []
    assert sorted(set(sources) - set(numbers(tree))) == []


def test_the_recipe_has_the_published_shape():
    recipe = load(T5)
    assert (recipe.tokenizer.vocab_size, recipe.tokenizer.extra_ids) == (5000, 100)
    assert (recipe.model.num_layers, recipe.model.num_decoder_layers) == (4, 3)
    assert recipe.sample.width == 2 / 9


def test_overrides_take_toml_values_or_strings():
    recipe = load(T5, overrides=["train.steps=20", "documents.input=a/*.jsonl", 'lm.input=["b", "c"]'])
    assert recipe.train.steps == 20
    assert patterns(recipe.documents.input) == ["a/*.jsonl"]
    assert patterns(recipe.lm.input) == ["b", "c"]


def test_an_empty_override_removes_a_key():
    recipe = load(T5, overrides=["sample.keep=", "sample.factor=0.78"])
    assert (recipe.sample.keep, recipe.sample.factor) == (None, 0.78)


def test_the_other_source_brings_its_own_sample():
    recipe = load(T5, overrides=["documents.source=mmarco-es"])
    assert (recipe.sample.method, recipe.sample.keep_documents, recipe.sample.keep) == ("random", 2_000_000, None)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sample.widht=2", "sample.widht: no such key"),
        ("train.steps=many", "train.steps: .*int"),
        ("train.steps=0", "train.steps is 0|train: steps is 0"),
        ("sample.factor=1", "sample: keep and factor exclude each other"),
        ("sample.method=random", "sample: width does not apply to the method random: remove it"),
        ("sample.method=steps", "sample: method is 'steps'; it must be one of gaussian, stepwise, random, buckets"),
        ("sample.width=early", "sample: width is 'early'; it must be bertin, bertin-early or a number"),
        ("sample.median=[1]", "sample.median: Expected"),
        ("model.vocab_size=6000", "model.vocab_size is 6000 but tokenizer.vocab_size is 5000"),
        ("score.mode=ccnet", "score.mode is 'ccnet' but lm scores in 'lines'"),
        ("shards.sequence_length=1", "sequence_length is 1"),
        ("documents.source=mc4-fr", "documents.source"),
        ("documents.source=[1]", "documents.source"),
        ("lm.words=true", "words, tokenizer and train_tokenizer exclude"),
        ("shards.objective=causal", "t5 needs span-corruption"),
        ("tokenizer.extra_ids=20", "28 noise spans"),
        ("nonsense", "must be key.path=value"),
        ("lm.order.x=1", "not a section|lm.order"),
    ],
)
def test_mistakes_are_named_by_their_path(override, message):
    with pytest.raises(BadArgument, match=message):
        load(T5, overrides=[override])


def test_unknown_names_and_broken_files(tmp_path):
    with pytest.raises(BadArgument, match=T5):
        load("t5-spanish")
    path = tmp_path / "mine.toml"
    path.write_text("name = ")
    with pytest.raises(BadArgument, match=r"mine\.toml"):
        load(str(path))
    path.write_text('name = "mine"')
    with pytest.raises(BadArgument, match="missing required field"):
        load(str(path))
