"""Options that several commands share."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from corpora.documents.sources import DocumentSource
from corpora.errors import BadArgument, StoreFailed, Unreachable
from pipelines.settings import RunnerSettings
from tamiz.log import log

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

# unknown flags are accepted here, then checked one by one: Beam may declare them
BEAM = {"ignore_unknown_options": True, "allow_extra_args": True}

# options of how documents are read that have the name of a field of DocumentSource
READING = (
    "text_column",
    "template",
    "turns",
    "turn",
    "url_column",
    "timestamp_column",
    "language",
    "blank_lines",
    "max_document_bytes",
)

MAX_REJECTED = 0.05
_LOCAL = ("file", "local")  # schemes of paths, which are written without them
DEFAULT_RUNNER = "FnApiRunner"


def document_options(function: F) -> F:
    """Adds --input and the options for reading it; the function takes `sources`, a list of DocumentSource."""
    return _document_options(function, "--format", "--input-format")


def document_options_beside_format(function: F) -> F:
    """Like `document_options`, for a command whose `--format` is the format of its output."""
    return _document_options(function, "--input-format")


def _document_options(function: F, *format_flags: str) -> F:
    from corpora.documents.formats import FORMATS, extensions

    @functools.wraps(function)
    def wrapper(
        *arguments: Any,
        patterns: tuple[str, ...],
        input_format: str | None,
        **others: Any,
    ) -> Any:
        reading = {name: others.pop(name) for name in READING}
        sources = [settings(DocumentSource, input=list(patterns), format=input_format, **reading)]
        with advice_for_unreachable("download the files and name them with --input"):
            return function(*arguments, sources=sources, **others)

    for option in (
        click.option("--max-document-bytes", type=int, metavar="N",
                     help="Reject rows of more bytes, without holding them in memory. [default: 67108864]"),
        click.option("--blank-lines", is_flag=True,
                     help="In .txt files, blank lines separate documents, as in CC-100. [default: line ends do]"),
        click.option(*format_flags, "input_format", metavar="F",
                     help=f"Format of all input files, whatever their names: {', '.join(FORMATS.names())}."),
        click.option("--language", metavar="L", help="Language of all documents. [default: from each file's path]"),
        click.option("--timestamp-column", metavar="NAME",
                     help="Column or field with the timestamp. [default: timestamp, ts, date_download, ...]"),
        click.option("--url-column", metavar="NAME",
                     help="Column or field with the url. [default: url, u, metadata.url, ...]"),
        click.option("--turn", metavar="TEMPLATE", callback=_with_breaks,
                     help="Text of one of the --turns. [default: {role}: {content}\\n; also for from and value]"),
        click.option("--turns", metavar="NAME", help="Field with the list of turns of a chat, like conversations."),
        click.option("--template", metavar="TEMPLATE", callback=_with_breaks,
                     help="Text made of several fields, like '{instruction}\\n{output}'."),
        click.option("--text-column", metavar="NAME",
                     help="Column or field with the text, or its path, like metadata.text. [default: text]"),
        click.option("--input", "patterns", multiple=True, required=True, type=Named(), metavar="PATTERN...",
                     help=f"Input files: {extensions()}; paths, globs or fsspec URLs."),
    ):  # fmt: skip
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]


def _with_breaks(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001
    """Callback: the two characters `\\n` stand for a line break, `\\t` for a tab, and two backslashes for one."""
    escapes = {"n": "\n", "t": "\t", "\\": "\\"}
    return None if value is None else re.sub(r"\\([nt\\])", lambda found: escapes[found[1]], value)


@contextlib.contextmanager
def advice_for_unreachable(advice: str) -> Iterator[None]:
    """Adds to the message about a remote pattern what the command at hand offers without a network; none to that
    about a store, which may be that of the output and says itself what helps."""
    try:
        yield
    except StoreFailed:
        raise
    except Unreachable as error:
        raise Unreachable(f"{error}; without a network, {advice}") from error


def checked_folder(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:  # noqa: ARG001 (click's)
    """Callback of an --out that is a folder. Raises BadArgument for a file and for no name."""
    if value is None:
        return None
    if not str(value):
        raise BadArgument("--out is empty: name a folder")
    if not _is_address(str(value)) and Path(value).is_file():
        raise BadArgument(f"--out {value} is a file: name a folder")
    return value


def log_folder(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Callback of an --out that is a folder: puts the command's log there."""
    if value is not None:
        log.in_folder(checked_folder(ctx, parameter, value))
    return value


class OutputPath(click.Path):
    """The path of an output. anywhere: an address, too; otherwise one is refused: no folder `s3:` shall be made."""

    def __init__(self, *, anywhere: bool = False) -> None:
        super().__init__()
        self.anywhere = anywhere

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from corpora.addresses import plain, scheme_of

        address = str(value)
        if self.anywhere and _is_address(address) and "::" not in address and scheme_of(address) not in _LOCAL:
            return plain(address)
        if _is_address(address):
            local = address.removeprefix("file://").removeprefix("local://")
            if not _is_address(local):
                raise BadArgument(f"{_flag(param)} is {address}: write {local}")
            where = "to paths and to stores" if self.anywhere else "to local paths"
            raise BadArgument(f"{_flag(param)} is {address}, but outputs are only written {where}")
        plain(address) if address else None  # refuses s3:/bucket
        try:
            os.fsencode(address).decode()
        except UnicodeDecodeError:
            raise BadArgument(f"{_flag(param)} is {address!r}, which isn't UTF-8; choose another name") from None
        return super().convert(value, param, ctx)


class FolderPath(click.Path):
    """A folder to read: a `Path`, or with `anywhere` the `Home` at an address; otherwise an address is refused."""

    def __init__(self, *, anywhere: bool = False) -> None:
        super().__init__(path_type=Path)
        self.anywhere = anywhere

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from corpora.home import Home

        home = Home.of(value) if str(value) else None
        if home is None or home.is_local:
            return super().convert(str(home or value), param, ctx)
        if not self.anywhere:
            raise BadArgument(
                f"{_flag(param)} is {value}, but this command reads local folders: copy it to one first"
            )
        return home


class Number(click.FloatRange):
    """A number between two bounds: click's own lets `nan` through, which no comparison refuses later."""

    name = "number"

    def __init__(self, least: float, most: float) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return super().convert(number, param, ctx)


class Named(click.types.StringParamType):
    """A text that names a file, a folder or an address: what lost a slash is refused before it is sought."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from corpora.addresses import refuse_mangled

        refuse_mangled(re.sub(r"^\w+=", "", str(value)))  # es=s3:/...
        return super().convert(value, param, ctx)


def _is_address(text: str) -> bool:
    return "://" in text or "::" in text


def _flag(parameter: click.Parameter | None) -> str:
    return parameter.opts[0] if parameter and parameter.opts else "the output"


def out_option(function: F) -> F:
    """--out, a folder."""
    return click.option(
        "--out", required=True, type=OutputPath(anywhere=True), callback=log_folder,
        help="Output folder: a path, or an address such as s3://bucket/run.",
    )(function)  # fmt: skip


def rebuild_option(function: F) -> F:
    return click.option(
        "--rebuild", is_flag=True, help="Redo output that is damaged or was made from other settings or inputs."
    )(function)  # fmt: skip


def max_rejected_option(function: F) -> F:
    return click.option(
        "--max-rejected",
        type=Number(0, 1),
        default=MAX_REJECTED,
        show_default=True,
        help="Exit with code 1 if a larger share of the rows is rejected.",
    )(function)


def _asked(read: Callable[[Any], Any] = lambda value: value) -> Callable[..., None]:
    """Callback of an option for `runner_settings`: keeps the value in the context."""

    def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        ctx.meta[f"tamiz.{parameter.name}"] = None if value is None else read(value)

    return keep


def _share(value: str) -> tuple[int, int]:
    """2/4 -> (2, 4). Raises BadArgument."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise BadArgument(f"--share is {value!r}; it must be I/N, from 1/N to N/N, such as 2/4")
    return int(found[1]), int(found[2])


def pipeline_options(function: F) -> F:
    """Adds --workers, --runner, --rebuild and --max-rejected; the function takes them and the click context, which
    `runner_settings` asks for --share and --stall-minutes."""
    for option in (
        max_rejected_option,
        click.option("--share", metavar="I/N", expose_value=False, callback=_asked(_share),
                     help="Do the I-th of N shares, for job arrays: the share that ends last finishes."),
        click.option("--stall-minutes", type=float, metavar="M", expose_value=False, callback=_asked(),
                     help="End what makes no progress for M minutes, and say what it is. [default: 20]"),
        click.option("--runner", default=DEFAULT_RUNNER, show_default=True,
                     help="A Beam runner; its flags are passed on."),
        click.option("--workers", type=click.IntRange(1, 1024), default=1, show_default=True,
                     help="Number of threads of the FnApiRunner."),
    ):  # fmt: skip
        function = option(function)
    return click.pass_context(rebuild_option(function))  # type: ignore[return-value]


def runner_settings(ctx: click.Context, runner: str, workers: int) -> RunnerSettings:
    """Runner settings. The remaining arguments of the command line must be flags that Beam declares."""
    extra = list(ctx.args)
    asked = {name: ctx.meta.get(f"tamiz.{name}") for name in ("share", "stall_minutes")}
    if asked["share"] and ctx.params.get("rebuild"):
        raise BadArgument("--rebuild clears what other shares did: leave out --share, or remove the folder first")
    if not extra and runner == DEFAULT_RUNNER:
        return settings(RunnerSettings, workers=workers, **asked)
    from pipelines.flags import check_beam_flags, check_runner

    own = [o for p in ctx.command.params for o in p.opts if o.startswith("--")]
    check_runner(runner)
    return settings(RunnerSettings, runner=runner, workers=workers, beam_flags=check_beam_flags(extra, own), **asked)


def settings(kind: type[T], /, **values: Any) -> T:
    """Creates settings from flags; None keeps the default. Raises BadArgument naming the bound."""
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return msgspec.convert(given, kind, strict=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadArgument(str(error).replace(" - at `$`", "").replace("_", "-")) from None
