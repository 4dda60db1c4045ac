"""Recipes: strict, sourced, overridable; every mistake named by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpora.choices import Choices
from corpora.config import Config
from corpora.errors import BadArgument
from tamiz.recipes.load import HOME, load, names, patterns, read, variants
from tamiz.recipes.published import FIGURES
from tamiz.recipes.write import as_toml
from tamiz.stages import Plan, Section, ordered
from tests.command import tamiz

T5 = "t5-spanish-efficient-tiny"


def numbers(tree, path=""):
    for key, value in tree.items():
        here = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict):
            yield from numbers(value, here)
        elif isinstance(value, list):
            yield from [here] * any(is_number(entry) for entry in value)
        elif is_number(value):
            yield here


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


@pytest.mark.parametrize("name", sorted(p.stem for p in HOME.glob("*.toml")))
def test_every_number_has_a_source(name):
    tree = read(HOME / f"{name}.toml")
    sources, published = tree.pop("sources"), tree.pop("published", {})
    assert all(text.strip() for text in sources.values())
    assert all(claim["source"] for claim in published.values())
    assert len({path for path in published if path in FIGURES or is_key(path, tree)}) == len(published)
    assert sorted(set(numbers(tree)) - set(sources)) == []
    assert sorted(set(sources) - set(numbers(tree))) == []


def is_key(path, tree):
    section, _, key = path.partition(".")
    return key in tree[section]


def test_the_recipe_has_the_published_shape():
    recipe = load(T5)
    assert (recipe.tokenizer.vocab_size, recipe.tokenizer.extra_ids) == (5000, 100)
    assert (recipe.model.num_layers, recipe.model.num_decoder_layers) == (4, 3)
    assert recipe.sample.width == 2 / 9


def test_overrides_take_toml_values_or_strings():
    recipe = load(T5, overrides=["train.steps=20", "documents.input=a/*.jsonl", 'lm.input=["b", "c"]'])
    assert recipe.train.steps == 20
    assert [source.patterns for source in recipe.inputs] == [("a/*.jsonl",)]
    assert patterns(recipe.lm.input) == ["b", "c"]


def test_an_empty_override_removes_a_key():
    recipe = load(T5, overrides=["sample.keep=", "sample.factor=0.78"])
    assert (recipe.sample.keep, recipe.sample.factor) == (None, 0.78)


def test_the_other_source_brings_its_own_sample():
    recipe = load(T5, overrides=["documents.source=mmarco-es"])
    assert (recipe.sample.method, recipe.sample.keep_documents, recipe.sample.keep) == ("random", 2_000_000, None)
    assert (recipe.name, [source.source for source in recipe.documents]) == (T5, ["mmarco-es"])
    assert recipe.train == load(T5).train
    changed = load(T5, overrides=["documents.source=mmarco-es", "sample.keep_documents=1000"])
    assert changed.sample.keep_documents == 1000


def test_a_variant_is_named_after_a_recipe_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr("tamiz.recipes.bundled.HOME", tmp_path)
    for name in (
        "t5-1.1-small",
        "t5-1.1-small.demo",
        "t5-1.1-base",
        "llama",
        "llama.demo",
        "llama.mc4-es",
        "llama-2",
    ):
        (tmp_path / f"{name}.toml").write_text('base = "t5-1.1-small"' if name == "t5-1.1-base" else "")
    assert names() == ["llama", "llama-2", "t5-1.1-base", "t5-1.1-small"]
    assert [variants(name) for name in names()] == [["demo", "mc4-es"], [], [], ["demo"]]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sample.widht=2", "sample.widht: no such key"),
        ("train.steps=many", "train.steps is 'many'; it must be an integer, at least 1"),
        ("train.steps=0", "train.steps is 0|train: steps is 0"),
        ("sample.factor=1", "sample: keep and factor exclude each other"),
        ("sample.method=random", "sample: width does not apply to the method random: remove it"),
        ("sample.method=steps", "sample.method is 'steps'; it must be one of gaussian, stepwise, random, buckets"),
        ("sample.width=early", "sample.width is 'early'; it must be bertin, bertin-early or a number"),
        ("sample.median=[1]", "sample.median is .1.; it must be a number, above 0 and finite"),
        ("sample.width=inf", "sample.width is inf; it must be above 0 and finite"),
        ("sample.median=inf", "sample.median is inf; it must be above 0 and finite"),
        ("sample.keep={}", "sample.keep is empty: name a group, or leave it out"),
        ('lm.file=""', "lm.file is empty: name a KenLM file"),
        ('lm.arpa=""', "lm.arpa is empty: name a file"),
        ('tokenizer.file=""', "tokenizer.file is empty: name a tokenizer"),
        ("model.vocab_size=4000", "model.vocab_size is 4000 but tokenizer.vocab_size is 5000: set model"),
        ("score.mode=ccnet", "score.mode is 'ccnet' but lm scores in 'lines'"),
        ("shards.sequence_length=1", "sequence_length is 1"),
        ("documents.source=mc4-fr", "documents.source"),
        ("documents.source=[1]", "documents.source"),
        ("documents.2.input=x", "the recipe's last source is documents.0; to add one, set documents.1"),
        ("documents.input=[]", "documents.input is empty"),
        ("documents.text_colunm=x", "documents.text_colunm: no such key"),
        ("documents=5", "documents is 5; it must be a table with input or source"),
        ("sampel.keep=1", "sampel: no such key or section, did you mean sample.$"),
        ("sample=5", r"sample is 5, but it must be a section: \[sample\]"),
        ("lm.source=", "lm: nothing to train on"),
        ("lm.source=wikipedia-fr", "lm.source is 'wikipedia-fr'; it must be one of"),
        ("lm=", r"score needs a language model: add a section \[lm\]"),
        ("score=", r"sample needs scores: add a section \[score\]"),
        ("tokenizer=", r"shards needs a tokenizer: add a section \[tokenizer\], or tokenizer.file"),
        ("shards=", r"train needs shards: add a section \[shards\]"),
        ("model=", r"train needs a model: add a section \[model\]"),
        ("train=", r"model has no effect without a section \[train\]"),
        ("documents=", "score needs documents: add"),
        ("model.init=other", "model.init: no such key"),
        ("lm.words=true", "words, tokenizer and train_tokenizer exclude"),
        ("shards.objective=causal", "model.family t5 needs rows with labels"),
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
    with pytest.raises(BadArgument, match=r"mine: no stage to run: add a section, such as \[lm\]"):
        load(str(path))
    path.write_text("name = 5\n[tokenizer]")
    with pytest.raises(BadArgument, match="mine: name is 5; it must be a text"):
        load(str(path))


def written(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_recipe_may_lack_most_sections(tmp_path):
    """Documents become a tokenizer straight from the sources."""
    recipe = load(
        written(tmp_path, '[documents]\ninput = "a"\n[tokenizer]\nkind = "bpe"\nvocab_size = 900\nextra_ids = 0')
    )
    assert (recipe.name, recipe.title) == ("mine", "mine")
    assert [stage.name for stage in ordered() if stage.runs_in(recipe)] == ["tokenizer"]
    assert (recipe.lm, recipe.shards, recipe.tokenizer.vocab_size) == (None, None, 900)
    with pytest.raises(AttributeError, match="no section 'shard'"):
        _ = recipe.shard


SEVERAL = """
[[documents]]
input = "a/*.jsonl"
language = "es"
text_column = "content"
[[documents]]
source = "mc4-es"
[tokenizer]
"""


def test_several_sources_and_overrides_of_each(tmp_path):
    path = written(tmp_path, SEVERAL)
    recipe = load(path)
    assert [(s.input, s.source, s.language) for s in recipe.documents] == [
        ("a/*.jsonl", None, "es"),
        (None, "mc4-es", None),
    ]
    assert recipe.inputs[0].text_column == "content"
    changed = load(path, overrides=["documents.1.input=b", "documents.0.language=", "documents.2.source=mmarco-es"])
    assert [(s.input, s.source, s.language) for s in changed.documents] == [
        ("a/*.jsonl", None, None),
        ("b", None, None),
        (None, "mmarco-es", None),
    ]
    with pytest.raises(
        BadArgument, match=r"the recipe has 2 sources of documents; name one of them, such as documents\.0\.input"
    ):
        load(path, overrides=["documents.input=c"])
    with pytest.raises(BadArgument, match=r"documents\.1: (give either|neither) input"):
        load(path, overrides=["documents.1.source="])
    with pytest.raises(BadArgument, match=r"documents\.0\.text_column is 5; it must be a text"):
        load(path, overrides=["documents.0.text_column=5"])


def test_a_tokenizer_that_is_brought_displaces_the_training():
    recipe = load(T5, overrides=["tokenizer.file=byt5", "model.vocab_size=384"])
    assert recipe.tokenizer.file == "byt5"
    with pytest.raises(BadArgument, match="tokenizer: file and vocab_size exclude each other"):
        load(T5, overrides=["tokenizer.file=byt5", "tokenizer.vocab_size=600"])


def test_a_model_that_is_brought_displaces_its_source():
    recipe = load(T5, overrides=["lm.file=es.bin", "lm.tokenizer=es.sp.model"])
    assert (recipe.lm.file, recipe.lm.source, recipe.lm.train_tokenizer) == ("es.bin", None, None)
    shown = "\n".join(as_toml(recipe)).partition("[lm]\n")[2].partition("\n\n")[0]
    assert shown.splitlines() == ['tokenizer = "es.sp.model"', 'file = "es.bin"', "trust = false"]


def test_a_model_that_is_trained_needs_no_trust():
    assert "trust" not in "\n".join(as_toml(load(T5)))


def test_one_format_of_exports_needs_no_list():
    assert [each.name for each in load(T5, overrides=["export.to=keras"]).export.chosen()] == ["keras"]


def test_a_recipe_based_on_another(tmp_path):
    (tmp_path / "under.toml").write_text(
        'title = "Under"\n[documents]\ninput = "a"\n[tokenizer]\nseed = 3\n[sources]\n"tokenizer.seed" = "assumed"'
    )
    recipe = load(
        written(tmp_path, 'base = "under.toml"\n[tokenizer]\nseed = 4\n[sources]\n"tokenizer.seed" = "mine"')
    )
    assert (recipe.title, recipe.tokenizer.seed, recipe.sources) == ("mine", 4, {"tokenizer.seed": "mine"})
    with pytest.raises(BadArgument, match="which is based on this file"):
        load(written(tmp_path, 'base = "mine.toml"'))
    with pytest.raises(BadArgument, match=r"mine\.toml: sources is 3, but it must be a section: \[sources\]"):
        load(written(tmp_path, 'base = "under.toml"\nsources = 3'))


def test_a_registry_of_choices_can_be_a_section():
    """Sections may be tagged types: a key of the section names the class."""
    methods: Choices[type[Config]] = Choices("sampler", "method", {})

    @methods.register
    class Half(Config, frozen=True, kw_only=True, tag_field="method", tag="half"):
        seed: int = 0

    section = Section("sample", methods, default="half")
    assert section.read({"seed": 3}) == Half(seed=3)
    assert section.read({"method": "half"}) == Half()
    with pytest.raises(BadArgument, match="method is 'third'"):
        section.read({"method": "third"})


@pytest.mark.parametrize(
    ("name", "flags"), [(T5, ()), *((name, ("--demo",)) for name in names() if "demo" in variants(name))]
)
def test_a_recipe_that_is_shown_is_a_recipe(name, flags, tmp_path, capsys):
    """What `recipes show` prints can be saved, loaded and run; numbers that a recipe leaves open say so."""
    code, shown, _ = tamiz(capsys, "recipes", "show", name, *flags)
    (tmp_path / "own.toml").write_text(shown)
    recipe = load(name, demo=bool(flags))
    plain, own = recipe.asdict(), load(str(tmp_path / "own.toml")).asdict()
    assert (code, plain.pop("sources"), own.pop("sources")) == (0, recipe.sources, {})
    plain.pop("published", None)
    assert own == plain
    assert "window_groups = 256    # tamiz's default" in shown


def test_a_run_in_a_folder_whose_name_holds_wildcards_reads_its_own_sample():
    plan = Plan(load(T5, demo=True), Path("runs/x[1]"), ordered())
    (sampled,) = plan.documents("tokenizer")
    assert sampled.patterns == ("runs/x[[]1]/sampled/part-*.parquet",)  # not those of runs/x1
