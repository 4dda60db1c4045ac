"""The command line. Each command is one module in tamiz/commands, imported when it is called."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Sequence

import click

from corpora.errors import ShareDone, TamizError, in_a_line
from corpora.stopping import interruptible, left_behind
from tamiz.console import fail, say, warn
from tamiz.groups import Group, misspelt
from tamiz.log import log
from tamiz.trainer.ranks import SaidElsewhere, give_way, mute_others

# command -> (module in tamiz.commands, help); listed here so that --help doesn't import the modules
COMMANDS = {
    "run": ("run", "Run a recipe, from raw text to a trained model."),
    "recipes": ("recipes", "List the bundled recipes, or show one."),
    "plan": ("plan", "Say what a run will take: hours, memory, disk."),
    "lm": ("lm", "Train a language model (KenLM binary)."),
    "score": ("score", "Compute the perplexity of every document."),
    "calibrate": ("calibrate", "Show quartiles and histograms of scores."),
    "sample": ("sample", "Draw documents by their perplexity."),
    "tokenizer": ("tokenizer", "Train or compare tokenizers."),
    "shards": ("shards", "Build or inspect training rows."),
    "train": ("train", "Train a model on shards."),
    "generate": ("generate", "Fill masked spans of a text or continue it."),
    "export": ("export", "Write a trained model for KerasHub, bitsandbytes or llama.cpp."),
    "upload": ("upload", "Publish an output folder on the Hugging Face Hub."),
    "verify": ("verify", "Check a folder, and those below it, against their manifests."),
    "clean": ("clean", "Remove what killed runs left in a folder or a store."),
    "report": ("report", "Write a page with plots of a run."),
}
# options that take several values: `--input a b c`, which is what a shell makes of a glob
SPREAD = ("--input", "--lm", "--annotations", "--shards")
LAYERS = ("corpora", "tokenizer_train", "pipelines", "tamiz")


class _Commands(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tamiz.commands.{COMMANDS[name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tamiz")
@click.option("--debug", is_flag=True, help="Show tracebacks, timings and Beam's own messages.")
def cli(debug: bool) -> None:
    """From raw web text to a perplexity-sampled corpus, a tokenizer, packed shards and a trained model."""


def spread(arguments: Sequence[str]) -> list[str]:
    """`--input a b` as `--input a --input b`."""
    result: list[str] = []
    option: str | None = None
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in SPREAD else None
            result.append(argument)
        elif option and result[-1] != option:
            result += [option, argument]
        else:
            result.append(argument)
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit codes: 0 done, 1 failed or finished with damaged input, 2 bad arguments, 130 ^C; see `corpora.errors`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    code = _run([a for a in given if a != "--debug"], debug)
    sys.stdout.flush()
    if left_behind():  # a thread that can't be ended would be waited for
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(arguments: list[str], debug: bool) -> int:
    # the Hub's client would draw its own progress bars
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    is_muted = mute_others()
    _show_messages(debug)
    log.start(arguments)
    if is_muted:
        log.off()
    try:
        with interruptible() as stop:
            # what Beam's threads raise when ^C ends the run is no news
            threading.excepthook = lambda error: None if stop.is_set() else threading.__excepthook__(error)
            code = _invoke(arguments)
    except KeyboardInterrupt:
        fail("stopped; run the same command again to continue")
        code = 130
    except BrokenPipeError:  # `tamiz recipes show NAME | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except ShareDone as done:
        log.event("share done", message=str(done))
        say(str(done))
        code = 0
    except SaidElsewhere as ended:
        log.error(ended.error, expected=True)
        log.end(ended.exit_code)
        raise
    except Exception as error:
        code = error.exit_code if isinstance(error, TamizError) else 1
        log.error(error, expected=isinstance(error, TamizError | OSError))
        if debug:
            log.end(code)
            raise
        _explain(error)
    log.end(code)
    if code:
        give_way()
    return code


def _invoke(arguments: list[str]) -> int:
    """Runs the command; returns the exit code for errors that click itself reports."""
    try:
        cli.main(spread(arguments), prog_name="tamiz", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 2
    except click.MissingParameter as error:
        fail(misspelt(error, arguments) or " ".join(error.format_message().split()))
        return 2
    except click.ClickException as error:
        fail(" ".join(error.format_message().split()))
        return 2
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    return 0


class _Messages(logging.Handler):
    """Shows each warning of tamiz's packages once, in the commands' format; with --debug, all messages."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.levelno < logging.WARNING:
            print(f"debug: {record.relativeCreated / 1000:.1f} s {record.name}: {line}", file=sys.stderr, flush=True)
        elif line not in self._shown:
            self._shown.add(line)
            warn(line)


def _show_messages(debug: bool) -> None:
    others = logging.StreamHandler()
    others.addFilter(lambda record: record.name.partition(".")[0] not in LAYERS)
    # Beam logs warnings while it is imported
    logging.basicConfig(level=logging.WARNING if debug else logging.ERROR, handlers=[others])
    level = logging.DEBUG if debug else logging.WARNING
    shown = _Messages(level)
    for layer in LAYERS:
        logging.getLogger(layer).setLevel(level)
        logging.getLogger(layer).handlers = [shown]


def _explain(error: Exception) -> None:
    if isinstance(error, TamizError):
        fail(str(error))
    elif isinstance(error, OSError) and error.strerror:
        fail(f"{error.filename or 'a file'}: {error.strerror}")
    else:
        fail(f"{type(error).__name__}: {in_a_line(error)} (--debug shows all)")
