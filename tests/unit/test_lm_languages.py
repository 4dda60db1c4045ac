"""[lm.languages.ko]: tables that override [lm], in every way that a recipe is written, changed and shown."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from corpora.errors import BadArgument
from tamiz.recipes.describe import json_schema, page
from tamiz.recipes.load import load
from tamiz.recipes.write import as_toml

TWO = """
[[documents]]
input = "ko/*.jsonl"
language = "ko"
[[documents]]
source = "mc4-en"
[lm]
order = 3
train_tokenizer = 900
[lm.languages.ko]
input = "wiki-ko/*.jsonl"
[lm.languages.en]
source = "wikipedia-en"
source_share = 0.02
words = true
[score]
[sample]
keep = 0.5
[sources]
"lm.order" = "assumed"
"lm.languages.en.source_share" = "assumed: a fiftieth"
"""


def written(folder: Path, text: str = TWO, name: str = "mine") -> str:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)


def test_keys_of_a_language_override_those_of_all(tmp_path: Path) -> None:
    lm = load(written(tmp_path)).lm
    assert list(lm.models) == ["ko", "en"]
    ko, en = lm.of("ko"), lm.of("en")
    assert (ko.order, ko.input, ko.train_tokenizer, ko.words, ko.scoring_mode) == (
        3, "wiki-ko/*.jsonl", 900, False, "lines",
    )  # fmt: skip
    assert (en.order, en.source, en.share, en.train_tokenizer, en.scoring_mode) == (
        3, "wikipedia-en", 0.02, None, "bertin",
    )  # fmt: skip
    assert load(written(tmp_path, '[lm]\ninput = "a"')).lm.models.keys() == {None}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["lm.languages.en="], r"documents\.1 is of language en, but there are models only for ko: add "
         r"\[lm\.languages\.en\] with source or input"),
        (["documents.0.language=ja"], r"documents\.0 is of language ja, .*: add \[lm\.languages\.ja\]"),
        (["lm.languages.ko.inptu=a"], r"ko\.inptu: no such key, did you mean lm\.languages\.ko\.input"),
        (["lm.languages.ko.order=x"], r"lm\.languages\.ko\.order is 'x'; it must be an integer, 2 to 6"),
        (["lm.languages.ko.order=9"], r"lm\.languages\.ko\.order is 9: it must be 2 to 6"),
        (["lm.languages.ko.source=wiki"], r"lm\.languages\.ko\.source is 'wiki'; it must be one of c4-en"),
        (["lm.languages.ko.input="], r"lm\.languages\.ko: nothing to train on"),
        (["lm.languages.ko=5"], r"lm\.languages\.ko is 5; it must be a table$"),
        (["lm.languages=5"], r"lm\.languages is 5; it must be a table"),
        (["lm.languages.ko.languages=5"], r"lm\.languages\.ko\.languages: no such key"),
        (["lm.languages./.input=a"], r"lm\.languages\./: '/' is not a language"),
        (["lm.arpa=a"], r"lm\.arpa is of one model, but lm\.languages has several"),
        (["score.mode=lines"], r"score\.mode is 'lines' but lm\.languages\.en scores in 'bertin'"),
        (["sample.per=all"], r"sample\.per is 'all', but each language has a model of its own"),
        (["sample.per=source"], r"sample\.per is 'source', but each language"),
        (["score.language_column=lang"], r"documents\.0 is of language ko, and score\.language_column is 'lang'"),
        (["lm.source=wikipedia-ko", "score.language_column=lang"], r"add \[lm\.languages\.XX\] for each language"),
    ],
)  # fmt: skip
def test_what_cannot_be(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        load(written(tmp_path), overrides=overrides)


def test_what_can_be(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert load(path, overrides=["sample.per=language,source"]).sample.per == "language,source"
    assert load(path, overrides=["sample.per=all", "sample.method=random"]).sample.method == "random"
    column = ["documents.0.language=", "documents.1.input=a", "documents.1.source=", "score.language_column=lang"]
    assert load(path, overrides=column).score.language_column == "lang"


def test_overrides_displace_what_cannot_be_combined(tmp_path: Path) -> None:
    path = written(tmp_path)
    lm = load(path, overrides=["lm.languages.ko.source=wikipedia-ko", "lm.languages.en.file=en.bin"]).lm
    assert (lm.of("ko").input, lm.of("ko").source) == (None, "wikipedia-ko")
    assert (lm.of("en").file, lm.of("en").source) == ("en.bin", None)
    one = load(path, overrides=["lm.input=a"]).lm
    assert (one.input, one.languages, one.order) == ("a", None, 3)
    single = written(tmp_path, '[lm]\nsource = "wikipedia-es"\norder = 4', "single")
    several = load(single, overrides=["lm.languages.es.input=a"]).lm
    assert (several.source, several.of("es").input, several.of("es").order) == (None, "a", 4)


def test_a_recipe_on_a_base_merges_each_language(tmp_path: Path) -> None:
    written(tmp_path)
    text = (
        'base = "mine.toml"\nwithout = ["lm.languages.en.words", "lm.train_tokenizer"]\n[lm.languages.ko]\nsource = '
    )
    more = '"wikipedia-ko"\n[lm.languages.ja]\ninput = "ja.txt"'
    recipe = load(written(tmp_path, text + more, "other"))
    assert list(recipe.lm.models) == ["ko", "en", "ja"]
    ko, en = recipe.lm.of("ko"), recipe.lm.of("en")
    assert (ko.source, ko.input, ko.order) == ("wikipedia-ko", None, 3)
    assert (en.source, en.words, en.train_tokenizer) == ("wikipedia-en", False, None)
    assert recipe.sources == {"lm.order": "assumed", "lm.languages.en.source_share": "assumed: a fiftieth"}
    changed = 'base = "mine.toml"\n[lm.languages.en]\nsource_share = 0.5'
    assert load(written(tmp_path, changed, "other")).sources == {"lm.order": "assumed"}
    one = load(written(tmp_path, 'base = "mine.toml"\n[lm]\ninput = "a"', "other")).lm
    assert (one.input, one.languages) == ("a", None)
    for missing in ("lm.languages.ja", "lm.languages.ko.order", "lm.order.x"):
        with pytest.raises(BadArgument, match=f"without names '{missing}', which the base doesn't have"):
            load(written(tmp_path, f'base = "mine.toml"\nwithout = ["{missing}"]', "other"))


def test_it_is_shown_as_it_is_written(tmp_path: Path) -> None:
    recipe = load(written(tmp_path))
    lines = list(as_toml(recipe))
    assert "[lm.languages.ko]" in lines
    assert "source_share = 0.02    # assumed: a fiftieth" in lines
    text = "\n".join(lines)
    assert tomllib.loads(text)["lm"]["languages"]["ko"] == {"input": "wiki-ko/*.jsonl"}
    assert load(written(tmp_path, text, "shown")).lm == recipe.lm


def test_the_schema_describes_the_inner_tables() -> None:
    lm = json_schema()["properties"]["lm"]["properties"]
    inner = lm["languages"]["additionalProperties"]
    assert inner["properties"].keys() == lm.keys() - {"languages"}
    assert inner["additionalProperties"] is False
    assert "`[lm.languages.NAME]` has the same keys, apart from `languages`." in page()
