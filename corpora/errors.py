"""What can go wrong, named by its consequence.

TamizError            anything that ends a command: one or two lines, exit code 1
├── BadArgument       a flag, a recipe key or a pattern is wrong: exit code 2, nearly always before any work
├── StaleOutput       an output folder was made from other settings or inputs
├── Unreachable       a remote file can't be listed or read: no network, no right to it, a server that fails
│   └── StoreFailed   a store of outputs does so; the message says what helps
├── DamagedFile       an input or output is not what it should be (truncated, bad header, wrong sha256)
├── TooManyRejected   more rows were rejected than `--max-rejected` allows
└── ShareDone         a share of a run is done, and others aren't: no error, exit code 0

All exit codes: 0 done; 1 failed, or finished with damaged inputs (`tamiz.stages.common.FinishedWithDamage`), or any
other exception; 2 a bad argument, click's own usage errors included; 130 ^C, after which the same command continues
(128 + the number of another signal that stops a training: `tamiz.trainer.signals`). `tamiz/cli.py` sets those that no
class carries.
"""

from __future__ import annotations


def in_a_line(error: BaseException | str, lines: int = 3, most: int = 300) -> str:
    """The first lines of a message as one: what other libraries raise often has its point in the second."""
    found = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    text = " ".join(found[:lines])
    return text if len(text) <= most else f"{text[: most - 1]}…"


class TamizError(Exception):
    """Ends a command. The message names the value, the bound and the fix."""

    exit_code = 1


class BadArgument(TamizError):
    """A flag, a recipe key or a pattern is wrong."""

    exit_code = 2


class StaleOutput(TamizError):
    """An output folder holds something made from other settings or inputs."""


class Unreachable(TamizError):
    """A remote file can't be listed or read: there is no network, or no right to it, or its server keeps failing."""


class StoreFailed(Unreachable):
    """A store, which may be that of the output, gives no answer or keeps failing; the same command continues."""


class DamagedFile(TamizError):
    """A file is truncated, has a bad header or the wrong checksum."""


class TooManyRejected(TamizError):
    """The share of rejected rows is above the bound."""


class ShareDone(TamizError):
    """A share of a run is done; shares that are missing, or the run that finishes, are named."""

    exit_code = 0


def by_name(name: str) -> type[TamizError]:
    """The class of an error that came from another process; TamizError for one that isn't listed here."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, TamizError) else TamizError
