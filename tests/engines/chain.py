"""The whole chain, from text to shards, as the commands that a user types."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tamiz.cli import cli


@dataclass(frozen=True)
class Size:
    """How much is learned; the defaults are those of a test."""

    order: int = 3
    lm_pieces: int = 500
    vocab_size: int = 700
    sequence_length: int = 128


SMALL = Size()


def commands(inputs: Sequence[str], out: str, size: Size = SMALL) -> Iterator[list[str]]:
    """The commands of the chain, in order. out: a folder or an address."""
    text = ["--input", *inputs]
    lm = f"{out}/lm/es.bin"
    yield ["lm", "train", *text, "--order", str(size.order), "--train-tokenizer", str(size.lm_pieces), "--out", lm]
    yield ["score", *text, "--lm", lm, "--out", f"{out}/scores"]
    yield ["sample", *text, "--scores", f"{out}/scores", "--keep", "0.5", "--out", f"{out}/sampled"]
    sampled = ["--input", f"{out}/sampled/*.parquet"]
    learn = ["--kind", "unigram", "--vocab-size", str(size.vocab_size), "--extra-ids", "100"]
    yield ["tokenizer", "train", *sampled, *learn, "--out", f"{out}/tokenizer"]
    rows = ["--objective", "span-corruption", "--sequence-length", str(size.sequence_length)]
    yield ["shards", "build", *sampled, "--tokenizer", f"{out}/tokenizer", *rows, "--out", f"{out}/shards"]


def name(command: Sequence[str]) -> str:
    """The stage of a command: `lm train`, `score`, ...."""
    return " ".join(command[: 2 if command[0] in ("lm", "tokenizer", "shards") else 1])


def runs_on_beam(command: Sequence[str]) -> bool:
    """Whether the command takes --runner and Beam's flags."""
    found: click.Command = cli
    for word in name(command).split():
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), word)
        assert inner is not None
        found = inner
    return any(parameter.name == "runner" for parameter in found.params)


def do(
    inputs: Sequence[str], out: str, flags: Sequence[str], run: Callable[[list[str]], None], most: int = 5
) -> None:
    """Runs the chain, or its first commands, with the runner of these flags."""
    for command in itertools.islice(commands(inputs, out), most):
        run([*command, *(flags if runs_on_beam(command) else ())])


def small_inputs(source: Path, folder: Path, files: int = 4, documents: int = 40) -> list[str]:
    """Writes the first documents of a .jsonl.zst file into several files; returns their pattern."""
    import io

    import zstandard

    folder.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as file:
        lines = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file))
        for number in range(files):
            part = b"".join(line for _, line in zip(range(documents), lines, strict=False))
            (folder / f"es-{number}.jsonl").write_bytes(part)
    return [str(folder / "*.jsonl")]
