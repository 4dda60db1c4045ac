"""tamiz shards inspect"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tamiz.console import say, table, warn

if TYPE_CHECKING:
    from corpora.tokens.readable import Segment

STYLES = {
    "text": "",
    "target": "green",
    "sentinel": "bold magenta",
    "special": "cyan",
    "border": "bold blue",
    "joint": "dim",
    "broken": "bold red",
}
PLAIN_WIDTH = 120


@click.command(name="inspect")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--row", type=int, help="Its number in the split, from 0. [default: 0]")
@click.option("--split", default="train", show_default=True)
@click.option("--tokenizer", help="The one that made the shards. [default: byt5, or `tokenizer` beside them]")
def command(folder: Path, row: int | None, split: str, tokenizer: str | None) -> None:
    """Show one row of DIR as a person reads it.

    A dot stands between the pieces of a word; pieces that only together hold a character are shown as one. Masked
    spans stand where they were cut out, as [<extra_id_0> -> what the labels hold]; each document of a causal row has
    a line of its own above it. Bytes that are only a part of a character are shown as <0xE1>.
    """
    from corpora import manifest
    from corpora.tokens.inspect_rows import find_tokenizer, read_row, vocabulary
    from corpora.tokens.readable import Reader
    from corpora.tokens.row_views import view

    content = manifest.read_finished(folder, "shards")
    found = read_row(folder, content, split, row or 0)
    encoder, note = find_tokenizer(folder, content.facts, tokenizer)
    shown = view(found, content.facts, Reader(vocabulary(content.facts, encoder), encoder))
    _print(shown.segments)
    rows = [
        ("objective", content.facts["objective"]),
        ("row", f"{found.number:,} of {found.rows:,} in {split}"),
        ("file", f"{found.file}, row group {found.group} of {found.groups}, row {found.place} in it"),
        *shown.facts,
        ("tokenizer", note if encoder else "unknown"),
    ]
    table("Row", ("", ""), rows)
    for problem in [*([] if encoder else [note]), *shown.problems]:
        warn(problem)
    if row is None:
        say(f"split {split} has {found.rows:,} rows: --row 0 to {found.rows - 1}")


def _print(segments: Sequence[Segment]) -> None:
    """Colours on a terminal, plain text elsewhere."""
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble(*((segment.text, STYLES[segment.kind]) for segment in segments))
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    Console(width=width, highlight=False).print(text)
