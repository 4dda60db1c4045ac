"""tamiz shards inspect"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from corpora.home import Place
from tamiz.console import draw, say, table, warn
from tamiz.options import FolderPath, Named

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


@click.command(name="inspect")
@click.argument("folder", type=FolderPath(anywhere=True), metavar="DIR")
@click.option("--row", type=int, help="Number of the row within its split, counted from 0. [default: 0]")
@click.option("--split", default="train", show_default=True, help="train or validation.")
@click.option(
    "--tokenizer",
    type=Named(),
    help="The tokenizer of the shards. [default: byt5, or the folder `tokenizer` next to DIR]",
)
def command(folder: Place, row: int | None, split: str, tokenizer: str | None) -> None:
    """Show one row of DIR in readable form.

    A dot separates the pieces of a word; pieces that form a character only together are shown as one. Masked spans
    are shown where they were cut out, as [<extra_id_0> -> their target]. In a causal row, a line precedes each
    document. Bytes of an incomplete character are shown in the form <0xE1>.
    """
    from corpora import manifest
    from corpora.tokens.facts import facts_of
    from corpora.tokens.inspect_rows import find_tokenizer, read_row, vocabulary
    from corpora.tokens.objectives import objective_of
    from corpora.tokens.readable import Reader

    content = manifest.read_finished(folder, "shards")
    facts = facts_of(folder, content)
    objective = objective_of(folder, facts)
    stored = read_row(folder, content, split, row or 0)
    encoder, note = find_tokenizer(folder, facts, tokenizer)
    shown = objective.view(stored, facts, Reader(vocabulary(facts, encoder), encoder))
    _print(shown.segments)
    rows = [
        ("objective", facts.objective),
        ("row", f"{stored.number:,} of {stored.rows:,} in {split}"),
        ("file", f"{stored.file}, row group {stored.group} of {stored.groups}, row {stored.place} in it"),
        *shown.facts,
        ("tokenizer", note if encoder else "unknown"),
    ]
    table("Row", ("", ""), rows)
    for problem in [*([] if encoder else [note]), *shown.problems]:
        warn(problem)
    if row is None:
        say(f"split {split} has {stored.rows:,} rows: choose one with --row 0 to {stored.rows - 1}")


def _print(segments: Sequence[Segment]) -> None:
    """Colours on a terminal, plain text elsewhere."""
    from rich.text import Text

    draw(Text.assemble(*((segment.text, STYLES[segment.kind]) for segment in segments)))
