"""The offline check of a card's metadata: what the Hub refuses, and what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamiz.cards import allowed, languages
from tamiz.cards.check import problems
from tamiz.cards.front_matter import front_matter, read_front_matter

FILES = [{"split": "train", "path": "a.parquet"}]
RESULT = {
    "task": {"type": "text-generation"},
    "dataset": {"type": "me/x", "name": "X"},
    "metrics": [{"type": "perplexity", "value": 3.2}],
}

BAD = [
    ("dataset", {"language": "jp"}, ["language: 'jp'", "did you mean ja?"]),
    ("dataset", {"language": ["es", "es-MX"]}, ["language: 'es-MX'", "did you mean es?"]),
    ("dataset", {"language": "Spanish"}, ["did you mean es?"]),
    ("dataset", {"language": ["es", "es"]}, ["'es' is there twice"]),
    ("dataset", {"language": "mine"}, ["language: 'mine'"]),
    ("dataset", {"license": "cc-by-4"}, ["license: 'cc-by-4'", "did you mean cc-by-4.0?"]),
    ("dataset", {"license": "ours"}, ["license_name and license_link"]),
    ("dataset", {"license": "other"}, ["license: other needs license_name"]),
    ("model", {"license": "mit", "license_link": "LICENSE"}, ["license: 'mit' must be `other`"]),
    ("model", {"license": "other", "license_name": "My Licence"}, ["license_name: 'My Licence'"]),
    ("dataset", {"size_categories": "many"}, ["size_categories: 'many'", "n<1K"]),
    ("dataset", {"task_categories": "text generation"}, ["did you mean text-generation?"]),
    ("dataset", {"multilinguality": "bilingual"}, ["one of monolingual"]),
    ("dataset", {"annotations_creators": "me"}, ["no-annotation"]),
    ("dataset", {"source_datasets": "a/b/c"}, ["source_datasets: 'a/b/c'", "OWNER/NAME"]),
    ("dataset", {"pretty_name": ["a"]}, ["pretty_name: ['a'] must be a string"]),
    ("dataset", {"configs": "a.parquet"}, ["configs: 'a.parquet' must be a list of tables"]),
    ("dataset", {"configs": [{"data_files": FILES}]}, ["config_name None"]),
    ("dataset", {"configs": [{"config_name": "a/b", "data_files": FILES}]}, ["config_name 'a/b'"]),
    ("dataset", {"configs": [{"config_name": "a", "data_files": FILES}] * 2}, ["'a' is there twice"]),
    ("dataset", {"configs": [{"config_name": "a", "data_files": FILES * 2}]}, ["split 'train' of 'a'"]),
    ("dataset", {"configs": [{"config_name": "a", "data_files": [{**FILES[0], "split": "dev-set"}]}]}, ["no dashes"]),
    ("dataset", {"configs": [{"config_name": "a", "data_files": [{"split": "dev"}]}]}, ["must have a path"]),
    ("dataset", {"configs": [{"config_name": "a", "data_files": "/root/a"}]}, ["data_files of 'a'"]),
    (
        "dataset",
        {"configs": [{"config_name": "a", "default": True}, {"config_name": "default"}]},
        ["a and default are both the default"],
    ),
    ("model", {"pipeline_tag": "text2text"}, ["pipeline_tag: 'text2text'"]),
    ("model", {"base_model": "my model"}, ["base_model: 'my model'"]),
    ("model", {"datasets": ["-x/y"]}, ["datasets: '-x/y'"]),
    ("model", {"model-index": [{"name": "m", "results": [{**RESULT, "dataset": {}}]}]}, ["dataset.name"]),
    ("model", {"model-index": [{"name": "m", "results": [{**RESULT, "metrics": []}]}]}, ["type and value"]),
    ("model", {"tags": [3]}, ["tags: 3 is not a string"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "said"), BAD, ids=lambda value: str(value)[:40])
def test_what_the_hub_refuses_is_named_in_one_line_each(kind, fields, said):
    found = problems(front_matter(fields) + "# A card\n", kind)
    assert found
    assert all(any(part in line for line in found) for part in said), found
    assert not any("\n" in line for line in found)


def test_what_the_hub_takes_passes():
    data = {
        "language": ["es", "spa", "ast", "gl", "multilingual", "no"], "language_details": "es-MX", "license": "other",
        "license_name": "mine-1.0", "license_link": "LICENSE", "size_categories": ["n>1T"],
        "source_datasets": ["original", "extended|mc4", "allenai/c4"], "annotations_creators": ["no-annotation"],
        "configs": [{"config_name": "a-b", "data_files": FILES}, {"config_name": "b", "data_files": ["x/*", "y"]}],
        "a_field_of_another_tool": {"x": 1},
    }  # fmt: skip
    assert problems(front_matter(data), "dataset") == []
    model = {"base_model": ["gpt2", "me/x"], "model-index": [{"name": "m", "results": [RESULT]}], "license": "mit"}
    assert problems(front_matter(model), "model") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# A card\n", "must begin with a line ---"),
        ("---\nlanguage: es\n", "must begin with a line ---"),
        ("---\na: b: c\n---\n", "no YAML in line 2"),
        ("---\n- a\n---\n", "is a list"),
        ("---\nlanguage: no\n---\n", "language: False is not a string; put it in quotes"),
        ("---\nx: &a [*a]\n---\n", ""),
    ],
)
def test_metadata_that_is_no_mapping_is_a_problem(text, said):
    found = problems(text, "dataset")
    assert (said in found[0]) if said else found == []


def test_front_matter_is_read_back_and_equal_fields_give_equal_bytes():
    fields = {"license": "mit", "language": ("no", "es"), "pretty_name": 'a: "b" ñ #c', "empty": (), "n": "1e3"}
    text = front_matter(fields)
    assert text == front_matter(dict(fields))
    assert read_front_matter(text + "# Card\n\n---\nnot: this\n") == {
        "license": "mit", "language": ["no", "es"], "pretty_name": 'a: "b" ñ #c', "n": "1e3",
    }  # fmt: skip
    assert read_front_matter("\ufeff---\r\na: 1\r\n---\r\n") == {"a": 1}


def test_without_the_library_s_list_any_three_letters_are_a_language(monkeypatch):
    monkeypatch.setattr(languages, "_LIST", Path("gone"))
    languages._listed.cache_clear()
    assert [languages.is_known(code) for code in ("es", "xyz", "XYZ", "jp")] == [True, True, False, False]
    monkeypatch.undo()
    languages._listed.cache_clear()
    assert not languages.is_known("xyz")


@pytest.mark.parametrize(
    ("rows", "name"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**12 - 1, "100B<n<1T"), (10**12, "n>1T")]
)
def test_sizes(rows, name):
    assert allowed.size_name(rows) == name
