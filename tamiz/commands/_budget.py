"""The option `--stop-after`: how long a run may take before its training pauses."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Iterator

import click

from tamiz.console import say
from tamiz.log import log
from tamiz.trainer.signals import Paused

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIME = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """The end of a duration such as 90s, 30m, 2h or 1d, on time.monotonic()'s clock."""
    if value is None:
        return None
    found = _TIME.fullmatch(value)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0.0 < seconds < math.inf:
        raise click.BadParameter(f"{value!r} is no time above 0: write 90s, 30m, 2h or 1d")
    return time.monotonic() + seconds


stop_after_option = click.option(
    "--stop-after",
    "stop_at",
    callback=_moment,
    metavar="TIME",
    help="Pause the training after this time (90s, 30m, 2h, 1d): the step is saved, the exit code is 0, and the same "
    "command continues.",
)


@contextlib.contextmanager
def pausing() -> Iterator[None]:
    """Within the block, a training that pauses ends it, and a line says so."""
    try:
        yield
    except Paused as paused:
        log.event("paused", message=str(paused))
        say(str(paused))
