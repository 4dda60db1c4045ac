"""Bars tell the truth: phases, compilation, the rest only where a rate says something, nothing where nothing ran."""

from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from corpora.compiling import announce, heard_by
from tamiz import bars
from tamiz.console import progress


@pytest.fixture
def clock(monkeypatch):
    """The time, set by hand."""
    now = [100.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now[0])
    return now


def test_lines_say_phases_and_the_rest(capsys, clock):
    with progress("score") as bar:
        bar(0, 100)
        clock[0] += 20
        bar(20, 100)
        clock[0] += 5
        bar(25, 100)  # too soon after the last line
        bar.phase("fitting")
        bar.phase("score: joining")
        clock[0] += 20
        bar(50, 100)  # two phases, two rates: the rest isn't known
    assert capsys.readouterr().out.splitlines() == [
        "  score:  20% after 20 s, about 1:20 left",
        "  score: fitting",
        "  score: joining",
        "  score:  50% after 45 s",
    ]


def test_the_rest_is_not_said_too_early_and_grows_while_nothing_happens(clock):
    bar = bars.Lines("score")
    bar(0, 1000)
    clock[0] += 2
    bar(100, 1000)
    assert bar.left() is None
    clock[0] += 2
    assert bar.left() == pytest.approx(36)
    clock[0] += 4
    assert bar.left() == pytest.approx(72)
    bar(1000, 1000)
    assert bar.left() is None


def test_compilation_is_said_once_on_lines(capsys):
    with progress("score") as bar:
        for begins in (True, True, False, False, True, False):
            announce(begins)
        bar(1, 1)
    assert capsys.readouterr().out == "  score: compiling kernels, once\n"


def drawn(monkeypatch, work, width=80):
    """What a terminal of this width gets."""
    import rich.progress

    terminal = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, legacy_windows=False)
    monkeypatch.setattr(rich.progress, "get_console", lambda: terminal)
    with bars.drawn("lm") as bar:
        work(bar, lambda: bar._drawing.refresh())
    return terminal.file.getvalue()


def test_a_bar_shows_phases_without_a_share(monkeypatch):
    text = "lm: SentencePiece, 32,000 pieces: usually 1-3 min"
    seen = []

    def work(bar, refresh):
        bar(10, 100)
        refresh()
        bar.phase(text)
        refresh()
        seen.append(bar._drawing.tasks[0].total)

    shown = drawn(monkeypatch, work)
    assert text in shown  # whole, at 80 columns
    assert seen == [None]  # a bar that pulses
    assert shown.rstrip("\x1b[?25h\n").split("\r")[-1].count("100%") == 1


def test_a_bar_that_had_nothing_to_do_vanishes(monkeypatch):
    shown = drawn(monkeypatch, lambda _, refresh: refresh())
    assert "%" not in shown
    assert shown.endswith("\x1b[2K")  # erased


def test_a_bar_says_that_kernels_are_compiled(monkeypatch):
    def work(_, refresh):
        announce(True)
        refresh()
        announce(False)
        refresh()

    assert "lm: compiling kernels, once" in drawn(monkeypatch, work)


def test_numba_announces_compiling_but_not_loading(tmp_path, monkeypatch):
    from corpora import compiled

    heard = []
    (tmp_path / "added.py").write_text("def add(x):\n    return x + 1\n")
    os.utime(tmp_path / "added.py", (1e9, 1e9))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compiled, "CACHE", tmp_path / "cache")
    import added

    with heard_by(heard.append):
        for _ in range(2):
            assert compiled.kernel(added.add)(1) == 2
    assert heard == [True, False]
