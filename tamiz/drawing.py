"""The look of plots: as wide as a paper's column, with a palette for colour-blind readers and log axes."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corpora import files

COLUMN, PAGE = 3.5, 7.0  # widths in inches: one column of a paper, both columns
DPI = 300

# Okabe and Ito's palette.
BEFORE, BEFORE_EDGE = "#d4d7da", "#8a9198"
AFTER = "#0072b2"
CURVE = "#d55e00"
CURVES = (CURVE, AFTER, "#009e73", "#cc79a7")
DASHES = ("-", "--", "-.", ":")
INK = "#202428"

_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,  # file names may contain dollars
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "lines.linewidth": 1.4,
}
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Any]:
    """Yields a figure of this size in inches, then writes it as a PNG. Equal drawings give equal bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}
    settings.update(_SETTINGS)
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with files.atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


def number(value: float) -> str:
    """A number as short as a tick label: 20, 1,000, 5×10⁵, 0.1."""
    if value <= 0 or 1e-3 <= value < 1e5:
        return f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
    exponent = math.floor(math.log10(value) + 1e-9)
    digits = f"{value / 10**exponent:.3g}"
    power = f"10{str(exponent).translate(_SUPERSCRIPTS)}"
    return power if digits == "1" else f"{digits}×{power}"


def log_axis(axis: Any, low: float, high: float, *, narrow: bool = False) -> None:
    """Ticks at powers of ten, and on a short axis also at 2 and 5 times these; labels are plain numbers.

    narrow: whether there is room for few labels."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    decades = math.log10(high / low)
    many = 2.0 if narrow else 3.5
    steps: tuple[float, ...] = (1.0,) if decades > many else (1.0, 3.0) if decades > 2.2 else (1.0, 2.0, 5.0)
    if decades < 0.5:
        steps = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    axis.set_major_locator(LogLocator(subs=steps, numticks=50))
    axis.set_minor_locator(LogLocator(subs=range(1, 10), numticks=200))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def drawable(label: str) -> bool:
    """Whether matplotlib's font has every character of a label and matplotlib draws them in the right order."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family="DejaVu Sans")))
    leftward = any(unicodedata.bidirectional(c) in ("R", "AL") for c in label)
    return label.isprintable() and not leftward and all(font.get_char_index(ord(c)) for c in label)


def shortened(label: str, length: int) -> str:
    """Shortens a label in the middle, where file names differ least."""
    if len(label) <= length:
        return label
    head = (length - 1) // 2
    return f"{label[:head]}…{label[len(label) - (length - 1 - head) :]}"


def legend_above(figure: Any, handles: Sequence[Any], columns: int = 3) -> None:
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, borderaxespad=0.1)
