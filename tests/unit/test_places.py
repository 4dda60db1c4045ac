"""Every place that any command takes, given an address that lost a slash, and one that can't be reached."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from corpora.hub import client
from corpora.stores import access, store_of
from tamiz.cli import cli
from tamiz.options import FolderPath, Named, OutputPath
from tests.command import tamiz

RECIPE = "t5-spanish-efficient-tiny"
TEXTS = Path(__file__).parents[2] / "tamiz" / "recipes" / "demo" / "clean.jsonl"
USUAL = {
    "recipe": RECIPE, "--out": "out", "--input": TEXTS, "--tokenizer": "byt5", "--lm": "lm.bin", "scores": "at",
    "--scores": "at", "tokenizers": "byt5", "folder": "at", "--shards": "at", "--model": RECIPE, "model": "at",
    "--keep": 0.5, "text": "hola", "--repo": "a/b", "--kind": "unigram", "--objective": "causal", "--to": "gguf",
    "--sequence-length": 64,
}  # fmt: skip
# texts that name no place: a new parameter is one of these, or has a type that refuses what lost a slash
NO_PLACES = {
    "--until", "--set", "--stop-after", "--runner", "--share", "--text-column", "--template", "--turns", "--turn",
    "--url-column", "--timestamp-column", "--language", "--format", "--input-format", "--prune", "--memory",
    "--language-column", "--source-by", "--width", "--boundaries", "--percentiles", "--cutoffs", "--keep-buckets",
    "--keep", "--keep-documents", "--columns", "--languages", "--name", "--split", "--compute-dtype", "--precision",
    "text", "--repo", "--revision",
}  # fmt: skip


def leaves(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from leaves(found, *path, name)
    else:
        yield path, command


def is_place(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, FolderPath | OutputPath | Named)


COMMANDS = dict(leaves(cli))
CASES = [
    pytest.param(path, parameter.opts[0], id=f"{' '.join(path)} {parameter.opts[0]}")
    for path, command in COMMANDS.items()
    for parameter in filter(is_place, command.params)
]


def test_every_parameter_is_known_to_name_a_place_or_not() -> None:
    texts = (click.types.StringParamType, click.Path)
    others = [p for c in COMMANDS.values() for p in c.params if isinstance(p.type, texts) and not is_place(p)]
    assert {p.opts[0] for p in others} == NO_PLACES
    assert len(CASES) > 40


def arguments(path: tuple[str, ...], place: str, value: str) -> list[object]:
    """A command line with what is required, and the value in this place."""
    given: list[object] = [*path]
    for parameter in COMMANDS[path].params:
        name = parameter.opts[0]
        if name == place or parameter.required or name in ("--keep", "recipe"):
            given += [name] if name.startswith("--") else []
            given.append(value if name == place else USUAL[name])
    return given


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "at").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "at"))
    return tmp_path


@pytest.mark.parametrize("lost", ["s3:/mangled/x", "s3:mangled/x"])
@pytest.mark.parametrize(("path", "place"), CASES)
def test_an_address_that_lost_a_slash_is_refused(
    path: tuple[str, ...], place: str, lost: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = tamiz(capsys, *arguments(path, place, lost))
    assert code == 2, said
    assert "two slashes, as in s3://mangled/x" in said.replace("\n", " ")
    assert said.count("error:") == 1
    assert [p.name for p in folder.iterdir()] == ["at"]


@pytest.mark.parametrize(("path", "place"), CASES)
def test_a_store_that_is_gone_is_an_error_in_a_line(
    path: tuple[str, ...],
    place: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("ENDPOINT_URL", "http://127.0.0.1:1"), ("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(access, "RETRIES", 0)
    monkeypatch.setattr(client._Seen, "answer", False)  # else a recipe's input on the Hub is tried for a minute
    monkeypatch.setattr("sys.stdin", io.StringIO("texto"))
    access._client.cache_clear()
    store_of.cache_clear()
    code, _, said = tamiz(capsys, *arguments(path, place, "s3://gone/x"))
    store_of.cache_clear()
    assert code in (1, 2), said
    assert [line.startswith("error: ") for line in said.splitlines()].count(True) == 1
    assert "--debug shows all" not in said, said
    assert [p.name for p in folder.iterdir()] == ["at"]
