"""Differences are named by path, and only what differs."""

from __future__ import annotations

import pytest

from corpora.changes import differences, input_differences


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ({"train": {"size": 128, "steps": 9}}, {"train": {"size": 16, "steps": 9}}, "train.size: 128 -> 16"),
        ({"denoisers": [{"m": 3}, {"m": 3}]}, {"denoisers": ({"m": 3}, {"m": 8})}, "denoisers[1].m: 3 -> 8"),
        ({"denoisers": []}, {"denoisers": ()}, ""),
        ({"a": {"b": (1, 2)}}, {"a": {"b": [1, 2], "c": None}}, ""),
        ({"prune": [0, 1]}, {"prune": [0, 1, 1]}, "prune: [0, 1] -> [0, 1, 1]"),
        ({}, {"text_column": "content"}, 'text_column: default -> "content"'),
        ({"keep": 1}, {"keep": True}, "keep: 1 -> true"),
        ({"sample": 60}, {"sample": None}, "sample: 60 -> null"),
        ({"a": None, "b": 1}, {"b": 1}, ""),
        ({"a": {"x": 1}}, {"a": 7}, 'a: {"x": 1} -> 7'),
    ],
)  # fmt: skip
def test_only_what_differs(old, new, says):
    assert differences(old, new) == says


def test_long_values_and_long_lists_are_shortened():
    assert len(differences({"a": "x" * 1000}, {"a": "y" * 1000})) < 140
    said = differences({}, {f"k{n:02}": n for n in range(20)})
    assert said.startswith("k00: default -> 0; k01")
    assert said.endswith("k07: default -> 7 and 12 more")
    assert differences({}, {f"k{n}": n for n in range(8)}).endswith("k7: default -> 7")


def test_inputs_are_gone_new_or_changed():
    old = [["a.jsonl", "11"], ["c.jsonl", "33"], ["d.jsonl", "44"]]
    new = [["a.jsonl", "99"], ["b.jsonl", "22"], ["d.jsonl", "44"]]
    assert input_differences(old, new) == "input changed: a.jsonl; new: b.jsonl; gone: c.jsonl"
    assert input_differences(old, old[::-1]) == ""
    many = [[f"{n:02}.jsonl", "0"] for n in range(15)]
    assert input_differences([], many) == "input new: 00.jsonl, 01.jsonl, 02.jsonl and 12 more"


def test_an_input_that_is_read_in_another_way_has_not_changed():
    content, otherwise = ["a", "1"], ["a", "1", '{"text_column": "b"}']
    said = 'input read in another way: a (text_column: default -> "b")'
    assert input_differences([content], [otherwise]) == said
    assert input_differences([content], [["a", "2", '{"text_column": "b"}']]) == "input changed: a"
    assert input_differences([content, content], [content, otherwise]) == "input changed: a"
