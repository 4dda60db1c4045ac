"""Addresses on the Hub: what they name, and what a mistaken one was probably meant to be."""

from __future__ import annotations

import pytest

from corpora.documents.items import work_items
from corpora.errors import BadArgument
from corpora.hub.address import is_hub, parse, without_revision
from tests.loopback_hub import LoopbackHub
from tests.reading_hub import lines, read_from


def test_addresses():
    parsed = parse("hf://datasets/a/b@refs/pr/3/c/d.gz")
    assert (parsed.revision, parsed.path) == ("refs/pr/3", "c/d.gz")
    assert parse(parsed.with_path("e")) == parsed._replace(path="e")
    assert parse("hf://a/b@x%2Fy/c").revision == "x/y"
    assert without_revision("hf://datasets/a/b@v1/c@2.gz") == "hf://datasets/a/b/c@2.gz"
    assert without_revision("/home/a@b/c") == "/home/a@b/c"
    assert not any(map(is_hub, ["zip://a::hf://datasets/a/b/c.zip", "hf://buckets/a/b/c", "s3://a/b"]))
    assert parse("hf://models/a/b/c") == parse("hf://a/b/c")


@pytest.mark.parametrize(
    ("address", "likely"),
    [
        ("datasets/me/mc4", ", such as hf://datasets/me/mc4/*.parquet"),
        ("datasets/me/mc4@v1/", ", such as hf://datasets/me/mc4@v1/*.parquet"),
        ("datasets/mc4/a.jsonl", ", or hf://datasets/OWNER/mc4/a.jsonl if a.jsonl is a file"),
        ("datasets/mc4/es-*.gz", "; perhaps hf://datasets/OWNER/mc4/es-*.gz"),
        ("datasets/mc4", "; perhaps hf://datasets/OWNER/mc4/FILES"),
        ("datasets/", ": write hf://datasets/OWNER/NAME/FILES for a dataset, hf://OWNER/NAME/FILES for a model"),
        ("dataset/me/mc4/es/*", "; perhaps hf://datasets/me/mc4/es/*"),
        ("Datasets/me/mc4/es/*", "; perhaps hf://datasets/me/mc4/es/*"),
        ("model/me/m/a.jsonl", "; perhaps hf://models/me/m/a.jsonl"),
    ],
)
def test_an_address_of_no_files_is_refused_without_a_request(monkeypatch, address, likely):
    monkeypatch.setattr("corpora.hub.client.opened", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(BadArgument) as refused:
        work_items([f"hf://{address}"])
    assert str(refused.value).startswith(f"hf://{address} names ")
    assert str(refused.value).endswith(likely)


@pytest.mark.parametrize(
    ("address", "likely"),
    [
        ("me/mc4/es/a.jsonl", "perhaps it is a dataset: hf://datasets/me/mc4/es/a.jsonl"),
        ("me/mc4/es/*", "perhaps it is a dataset: hf://datasets/me/mc4/es/*"),
        ("datasets/mc4/es/a.jsonl", "mc4 is its name, and the owner is missing: hf://datasets/OWNER/mc4/es/a.jsonl"),
    ],
)
def test_a_repository_that_is_not_there(monkeypatch, tmp_path, address, likely):
    with LoopbackHub("lfs", tmp_path / "hub") as hub:
        hub.create("dataset", "me/mc4", {"es/a.jsonl": lines(0, 1)})
        read_from(hub, monkeypatch, tmp_path)
        with pytest.raises(BadArgument, match=r"or it is private: correct the name; .*; perhaps ") as refused:
            work_items([f"hf://{address}"])
    assert str(refused.value).endswith(likely)
