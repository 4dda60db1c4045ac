"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from corpora.errors import BadArgument
from pipelines.settings import RunnerSettings
from tamiz.log import log

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

# Beam's own flags are accepted, then checked one by one
BEAM = {"ignore_unknown_options": True, "allow_extra_args": True}

MAX_REJECTED = 0.05
DEFAULT_RUNNER = "FnApiRunner"


def input_option(function: F) -> F:
    return click.option(
        "--input", "patterns", multiple=True, required=True, metavar="PATTERN...",
        help="Files: .jsonl[.gz|.zst], .json[.gz], .parquet, .tsv, .txt[.gz|.zst]; globs; any fsspec address.",
    )(function)  # fmt: skip


def log_folder(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:  # noqa: ARG001 (click's)
    """The callback of an --out that is a folder: the command's log goes there."""
    if value:
        log.in_folder(Path(value))
    return value


def out_option(function: F) -> F:
    """--out, a folder."""
    return click.option(
        "--out", required=True, type=click.Path(), callback=log_folder, help="Folder of the output."
    )(function)  # fmt: skip


def rebuild_option(function: F) -> F:
    return click.option(
        "--rebuild", is_flag=True, help="Redo what was made from other settings or inputs, or is damaged."
    )(function)  # fmt: skip


def pipeline_options(function: F) -> F:
    """--workers, --runner, --rebuild, --max-rejected; the function takes them and the click context."""
    for option in (
        click.option("--max-rejected", type=click.FloatRange(0, 1), default=MAX_REJECTED, show_default=True,
                     help="Exit 1 if a larger share of the rows is rejected."),
        click.option("--runner", default=DEFAULT_RUNNER, show_default=True,
                     help="A Beam runner; its own flags are passed on."),
        click.option("--workers", type=click.IntRange(1, 1024), default=1, show_default=True,
                     help="Threads of the FnApiRunner."),
    ):  # fmt: skip
        function = option(function)
    return click.pass_context(rebuild_option(function))  # type: ignore[return-value]


def runner_settings(ctx: click.Context, runner: str, workers: int) -> RunnerSettings:
    """The arguments that are left on the command line must be flags that Beam declares."""
    extra = list(ctx.args)
    if not extra and runner == DEFAULT_RUNNER:
        return RunnerSettings(workers=workers)
    from pipelines.runners import check_beam_flags, check_runner

    own = [o for p in ctx.command.params for o in p.opts if o.startswith("--")]
    check_runner(runner)
    return RunnerSettings(runner=runner, workers=workers, beam_flags=check_beam_flags(extra, own))


def settings(kind: type[T], /, **values: Any) -> T:
    """A settings object from flags; None leaves the default. Raises BadArgument naming the bound."""
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return msgspec.convert(given, kind, strict=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadArgument(str(error).replace(" - at `$`", "").replace("_", "-")) from None
