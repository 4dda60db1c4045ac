"""Beam's runners and flags, checked before any work."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from corpora.errors import BadArgument, in_a_line


def check_runner(name: str) -> None:
    """Raises BadArgument for a runner that Beam can't create."""
    if name == "FnApiRunner":
        return
    from apache_beam.runners.runner import create_runner

    try:
        create_runner(name)
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        raise BadArgument(f"--runner {name}: {in_a_line(error)}") from None


def check_beam_flags(flags: Sequence[str], own: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the flags if each of them is declared by some PipelineOptions class, with a value that it takes.

    Raises BadArgument for any other flag, naming the closest option: first of the command (`own`), then of Beam.
    """
    known = _known_flags()
    for flag in flags:
        name = flag.split("=", 1)[0]
        if name.startswith("-") and name not in known:
            near = difflib.get_close_matches(name, own, 1, 0.8) or difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadArgument(f"no such option: {name}{hint} (neither tamiz nor Beam knows it)")
    if flags and not flags[0].startswith("-"):
        hint = f": each setting needs an option before it, such as --set {flags[0]}" if "=" in flags[0] else ""
        raise BadArgument(f"unexpected argument {flags[0]!r}{hint}")
    _check_values(flags)
    return tuple(flags)


def _check_values(flags: Sequence[str]) -> None:
    """Beam's parser prints a hundred lines of usage before what is wrong, and ends the process."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            PipelineOptions(list(flags)).get_all_options()
    except SystemExit:
        point = (said.getvalue().strip().splitlines() or ["Beam refuses its flags"])[-1]
        raise BadArgument(point.partition("error: ")[2] or point) from None


def _known_flags() -> list[str]:
    parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve", allow_abbrev=False)
    pending = list(PipelineOptions.__subclasses__())
    while pending:
        options = pending.pop()
        pending += options.__subclasses__()
        if "_add_argparse_args" in vars(options):
            options._add_argparse_args(parser)  # type: ignore[arg-type]  # any ArgumentParser will do
    return sorted(parser._option_string_actions)
