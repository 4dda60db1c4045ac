"""A wrong recipe is told all that is wrong with it, at once and in words."""

from __future__ import annotations

import pytest

from corpora.errors import BadArgument
from tamiz.recipes.load import load
from tamiz.stages import ordered

T5 = "t5-spanish-efficient-tiny"


def problems(tmp_path, text, overrides=()):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadArgument) as refused:
        load(str(path), overrides=overrides)
    return str(refused.value).removeprefix("mine: ").split(" | ")


def test_all_that_is_missing_or_unknown_is_told_at_once(tmp_path):
    train = '[train]\nstep = 10\nbatch_size = "many"\n'
    found = problems(tmp_path, f'titel = "x"\n[trian]\n[model]\nd_modle = 320\n{train}')
    assert found == [
        "titel: no such key or section, did you mean title?",
        "trian: no such key or section, did you mean train?",
        "train.step: no such key, did you mean train.steps?",
        "train.steps is missing: it must be an integer, at least 1",
        "train.batch_size is 'many'; it must be an integer, at least 1",
        "model.d_modle: no such key, did you mean model.d_model?",
        "model.vocab_size is missing: it must be an integer, at least 3",
        "train needs shards: add a section [shards]",
    ]


def test_wrong_values_of_several_sections_are_told_at_once(tmp_path):
    text = '[documents]\ninput = "a"\n[lm]\ninput = "b"\norder = 9\n[score]\n[sample]\nkeep = 2\n'
    found = " | ".join(problems(tmp_path, text))
    assert "lm.order is 9: it must be 2 to 6 | sample.keep is 2.0; it must be above 0 and at most 1" in found


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.family=gpt2", "model.family is 'gpt2'; it must be one of t5, llama"),
        ("model.family=lama", "one of t5, llama, gptj, t5-backbone; did you mean llama?"),
        ("train.schedule=cosin", "train.schedule is 'cosin'; it must be one of "),
        ("train.steps=ten", "train.steps is 'ten'; it must be an integer, at least 1"),
        ("train.steps=1.5", "train.steps is 1.5; it must be an integer, at least 1"),
        ("train.steps=true", "train.steps is True; it must be an integer, at least 1"),
        (f"train.steps={10**30}", f"train.steps is {10**30}; it must be an integer, at least 1, and below 2^63"),
        (f"shards.seed={10**30}", "and below 2^63"),
        ("trainn.steps=5", "trainn: no such key or section, did you mean train?"),
        ("train.betas=0.9", "train.betas is 0.9; it must be a list of 2 numbers"),
        ("tokenizer.lowercase=1", "tokenizer.lowercase is 1; it must be true or false"),
        ("lm.input=5", "lm.input is 5; it must be a list of texts, or a text"),
        ("train.span_corruption={noise_densty=0.2}", "train.span_corruption.noise_densty: no such key, did you mean"),
        ("train.span_corruption={noise_density=2}", "train.span_corruption.noise_density is 2.0; it must be above 0"),
        ("sample.keep={es='a'}", "sample.keep.es is 'a'; it must be a number"),
        ("name=5", "name is 5; it must be a text"),
        ("lm.memory=" + "9" * 500, "…"),
    ],
)
def test_types_are_told_in_words(override, message):
    with pytest.raises(BadArgument) as refused:
        load(T5, overrides=[override])
    assert message in str(refused.value)
    assert len(str(refused.value)) < 250
    for raw in ("Expected `", "enum", "$", "Object"):
        assert raw not in str(refused.value)


def test_lines_after_the_first_are_no_values():
    with pytest.raises(BadArgument, match="goes on with a line 'seed = 3': give each key its own --set"):
        load(T5, overrides=["train.steps=5\nseed = 3"])
    with pytest.raises(BadArgument, match="goes on with a line"):
        load(T5, overrides=["documents.input=a\nb"])
    assert load(T5, overrides=["documents.input=[\n'a',\n'b']"]).documents[0].patterns == ("a", "b")


PORTUGUESE = """
base = "t5-spanish-efficient-tiny"
name = "t5-portuguese"
language = "pt"
[documents]
input = "textos/*.jsonl"
[lm]
input = "wiki/*.txt"
[tokenizer]
vocab_size = 8000
[train]
steps = 20
"""


def test_a_portuguese_recipe_takes_a_screen(tmp_path):
    path = tmp_path / "pt.toml"
    path.write_text(PORTUGUESE.replace("[train]", "[model]\nvocab_size = 8000\n[train]"))
    recipe, base = load(str(path)), load(T5)
    running = [stage.name for stage in ordered() if stage.runs_in(recipe)]
    assert running == ["lm", "score", "sample", "tokenizer", "shards", "train"]
    assert (recipe.name, recipe.title, recipe.language) == ("t5-portuguese", "t5-portuguese", "pt")
    assert (recipe.licence, recipe.reference) == ("", "")  # those of the Spanish model say nothing about this one
    assert recipe.documents[0].patterns == ("textos/*.jsonl",)
    assert recipe.documents[0].source is None
    assert (recipe.lm.input, recipe.lm.source, recipe.lm.order) == ("wiki/*.txt", None, base.lm.order)
    assert (recipe.tokenizer.vocab_size, recipe.tokenizer.extra_ids) == (8000, 100)
    assert (recipe.sample, recipe.shards) == (base.sample, base.shards)
    assert (recipe.train.steps, recipe.train.batch_size) == (20, base.train.batch_size)
    assert "train.batch_size" in recipe.sources
    assert not {"train.steps", "tokenizer.vocab_size", "lm.source_share"} & recipe.sources.keys() - {
        "lm.source_share"
    }


def test_a_base_loses_what_its_recipe_says(tmp_path):
    path = tmp_path / "mine.toml"

    def loaded(text):
        path.write_text(f'base = "{T5}"\n{text}')
        return load(str(path))

    assert loaded('[sample]\nmethod = "random"\nkeep = 0.1').sample.asdict() == {
        **load(T5, overrides=["documents.source=mmarco-es"]).sample.asdict(), "keep": 0.1, "keep_documents": None,
    }  # fmt: skip
    changed = loaded('without = ["sample.keep", "score.item_bytes"]\n[sample]\nfactor = 0.5')
    assert (changed.sample.keep, changed.sample.factor) == (None, 0.5)
    assert "sample.keep" not in changed.sources
    shorter = loaded('without = ["model", "train"]')
    assert shorter.train is None
    assert loaded('[[documents]]\ninput = "a"\n[[documents]]\ninput = "b"').documents[1].patterns == ("b",)
    for text, message in (
        ('without = ["sampel"]', "without names 'sampel', which the base doesn't have"),
        ("without = 5", "without is 5; it must be a list"),
        ("base = 5", "Cannot overwrite|base"),
    ):
        with pytest.raises(BadArgument, match=message):
            loaded(text)


def test_the_model_takes_the_size_of_the_vocabulary(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(PORTUGUESE + '[model]\nfamily = "llama"\n[shards]\nobjective = "causal"\n')
    path.write_text(
        '[documents]\ninput = "a"\n[tokenizer]\nvocab_size = 900\n[shards]\n[model]\n[train]\nsteps = 1\n'
    )
    assert load(str(path)).model.vocab_size == 900
    path.write_text('[documents]\ninput = "a"\n[tokenizer]\nfile = "x"\n[shards]\n[model]\n[train]\nsteps = 1\n')
    with pytest.raises(BadArgument, match=r"model\.vocab_size"):
        load(str(path))
