"""Groups of commands that name the nearest command for one that doesn't exist."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import click

ASKED = {"help": "--help", "version": "--version"}
OTHER = {"tokenise": "tokenizer", "tokenize": "tokenizer", "inspect": "shards inspect", "demo": "run --demo"}


class Group(click.Group):
    """A group whose commands are named by `list_commands`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name in known or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = ASKED.get(name) or OTHER.get(name) or next(iter(difflib.get_close_matches(name, known, 1)), None)
        path = ctx.command_path
        hint = f"did you mean `{path} {near}`?" if near else f"the commands are {', '.join(known)}"
        raise click.UsageError(f"No such command {name!r}; {hint}", ctx)


def misspelt(error: click.MissingParameter, arguments: Sequence[str]) -> str:
    """What to say if the missing option was given by another name, otherwise "".

    Commands that hand flags to Beam learn only after their own options that nobody knows a flag.
    """
    missing = error.param.opts if error.param else []
    command = error.ctx.command if error.ctx else None
    known = [name for param in command.params for name in (*param.opts, *param.secondary_opts)] if command else []
    for name in (a.partition("=")[0] for a in arguments if a.startswith("--")):
        near = difflib.get_close_matches(name, known, 1, 0.8)
        if name not in known and near and near[0] in missing:
            return f"no such option: {name}; did you mean {near[0]}?"
    return ""
