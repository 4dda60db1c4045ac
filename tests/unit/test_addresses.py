"""Addresses: sizes that aren't told, chains, queries, names that aren't UTF-8; what can't be read or written yet."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFileSystem

from corpora.documents.addresses import path_of, with_path
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_texts
from corpora.errors import BadArgument, StoreFailed
from pipelines.accounts import input_identities
from tamiz.options import advice_for_unreachable

LINES = b'{"text":"hola"}\n{"text":"adios"}\n'


class NoSize(MemoryFileSystem):  # type: ignore[misc]
    """As a web server that sends files in chunks: it tells no size, and can't seek."""

    protocol = "nosize"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return {**super().info(path, **options), "size": None}

    def find(self, path: str, *given: Any, **options: Any) -> Any:
        found = super().find(path, *given, **options)
        return {name: {**entry, "size": None} for name, entry in found.items()} if isinstance(found, dict) else found


@pytest.fixture(autouse=True)
def nosize() -> Iterator[None]:
    fsspec.register_implementation("nosize", NoSize, clobber=True)
    yield
    NoSize.store.clear()
    NoSize.pseudo_dirs[:] = [""]


def write(address: str, data: bytes) -> None:
    with fsspec.open(address, "wb") as file:
        file.write(data)


def texts(pattern: str) -> list[str]:
    items = work_items([pattern], 1)
    found = [text for item in items for batch in read_batches(item) for text in batch.texts]
    assert [text for item in items for batch in read_texts(item) for text in batch.texts.strings] == found
    return found


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_file_of_unknown_size_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    """It is one item, whose identity is the etag alone."""
    write(f"nosize://d/{name}", gzip.compress(LINES) if name.endswith("gz") else LINES)
    for pattern in (f"nosize://d/{name}", "nosize://d/*"):
        (item,) = work_items([pattern], 1)
        assert (item.size, item.start, item.end, item.name) == (None, 0, 0, name)
        assert texts(pattern) == ["hola", "adios"]
    (identity,) = input_identities([item], tmp_path)
    assert (identity.size, identity.content()) == (None, [name, item.etag])


def test_an_empty_file_of_unknown_size() -> None:
    write("nosize://d/a.txt", b"")
    assert texts("nosize://d/a.txt") == []
    write("nosize://d/p.parquet", b"PAR1")
    with pytest.raises(BadArgument, match=r"doesn't tell its size, .*: simplecache::nosize://d/p\.parquet"):
        work_items(["nosize://d/p.parquet"])


def test_chains(tmp_path: Path) -> None:
    """All links are kept; names and extensions are those of the first path."""
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a.jsonl", LINES)
        archive.writestr("deep/b.jsonl.gz", gzip.compress(LINES))
    (tmp_path / "c.txt").write_text("uno\n")
    for pattern, path, name in (
        ("zip://a.jsonl::{}/z.zip", "zip://a.jsonl::{}/z.zip", "a.jsonl"),
        ("zip://**/*.gz::{}/z.zip", "zip://deep/b.jsonl.gz::{}/z.zip", "deep__b.jsonl.gz"),
        ("zip://a.jsonl::file://{}/z.zip", "zip://a.jsonl::file://{}/z.zip", "a.jsonl"),
        ("simplecache::file://{}/*.txt", "simplecache::file://{}/c.txt", "c.txt"),
    ):
        (item,) = work_items([pattern.format(tmp_path)])
        assert (item.path, item.name) == (path.format(tmp_path), name)
        assert item.etag
        assert texts(pattern.format(tmp_path)) == (["uno"] if name == "c.txt" else ["hola", "adios"])
    with pytest.raises(BadArgument, match="no file matches"):
        work_items([f"zip://b.jsonl::{tmp_path}/z.zip"])


def test_queries_of_web_addresses_are_no_part_of_the_name() -> None:
    assert path_of("https://h/x.json.gz?download=true#top") == "h/x.json.gz"
    assert path_of("simplecache::https://h/x.txt?a=/b.gz") == "h/x.txt"
    assert path_of("s3://b/x?.jsonl") == "b/x?.jsonl"
    assert path_of("a/b?.txt") == "a/b?.txt"
    assert with_path("simplecache::s3://b/x*.txt", "b/x1.txt") == "simplecache::s3://b/x1.txt"


def test_what_must_be_installed() -> None:
    for scheme, package in (("https", "aiohttp requests"), ("s3", "s3fs")):
        if not _installed(package.split()[0]) and not (scheme == "s3" and _installed("obstore")):
            with pytest.raises(BadArgument, match=f"{scheme}://h/a.jsonl: .*: pip install {package}$"):
                work_items([f"{scheme}://h/a.jsonl"])


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def test_brackets_in_names_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "dir[1]"
    folder.mkdir()
    (folder / "a.txt").write_text("uno\n")
    with pytest.raises(BadArgument, match=r"no file matches .* brackets are wildcards; .*dir\[\[\]1\]/\*"):
        work_items([f"{folder}/*"])
    with pytest.raises(BadArgument, match=r"no file matches this pattern$"):
        work_items([f"{tmp_path}/other[1]/*"])
    assert texts(f"{tmp_path}/dir[[]1]/*") == ["uno"]


def test_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.txt")).write_text("uno\n")
    with pytest.raises(BadArgument, match=r"a\\udcff\.txt': the name of this file isn't UTF-8"):
        work_items([f"{tmp_path}/*"])


OUT_COMMANDS = [
    ("score", "--lm", "x.bin", "--input", "x"),
    ("lm", "train", "--input", "x"),
    ("sample", "--input", "x", "--scores", "y"),
    ("tokenizer", "train", "--kind", "bytes", "--input", "x"),
    ("tokenizer", "eval", "byt5", "--input", "x"),
    ("shards", "build", "--input", "x", "--tokenizer", "byt5", "--objective", "causal", "--sequence-length", "8"),
    ("train", "--shards", "x"),
    ("run", "t5-spanish-efficient-tiny", "--demo"),
]


@pytest.mark.parametrize("command", OUT_COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_a_remote_output_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    from tamiz.cli import cli

    monkeypatch.chdir(tmp_path)
    for out, advice in (
        ("file:///tmp/o.bin", ": write /tmp/o.bin"),
        ("simplecache::o", ", but outputs are only written to paths and to stores"),
    ):
        result = CliRunner().invoke(cli, [*command, "--out", out])
        assert isinstance(result.exception, BadArgument)
        assert str(result.exception) == f"--out is {out}{advice}"
    assert list(tmp_path.iterdir()) == []


def test_advice_is_that_of_the_command() -> None:
    from corpora.errors import Unreachable

    with (
        pytest.raises(Unreachable, match=r"^can't list x; without a network, use --demo$"),
        advice_for_unreachable("use --demo"),
    ):
        raise Unreachable("can't list x")


def test_a_store_that_fails_gets_no_advice_about_inputs() -> None:
    """It may be the output's."""
    with pytest.raises(StoreFailed, match=r"^s3://a/b: 503$"), advice_for_unreachable("download the files"):
        raise StoreFailed("s3://a/b: 503")
