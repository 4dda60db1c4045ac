"""Lines of a training's progress: the time left, as wide as the terminal, numbers in words."""

from __future__ import annotations

import os

import pytest
import torch

from tamiz.trainer.before import in_words, threads_line
from tamiz.trainer.progress import Due, Progress, duration
from tamiz.trainer.settings import TrainSettings


def test_times_left():
    said, now = [], [0.0]
    progress = Progress(said.append, 100, clock=lambda: now[0])
    for step in range(1, 101):
        now[0] += 60.0 if step == 1 else 20.0  # the first one starts torch
        progress.step(step, 1.0, 0.1, 10)
    assert "left" not in said[0]
    assert said[1].endswith("tokens/s, 33 min left")
    assert said[-2].endswith(", 20 s left")
    assert "left" not in said[-1]


@pytest.mark.parametrize("step_size", [None, 1.23e-4])
@pytest.mark.parametrize(("width", "next_one"), [(78, False), (118, True), (20, False)])
def test_a_line_is_as_long_as_a_terminal_is_wide(width, next_one, step_size):
    said, now = [], [0.0]
    progress = Progress(said.append, 65_536, clock=lambda: now[0], width=width)
    for step in (32_767, 32_768):
        now[0] += 11.0
        due = Due("validation", 33_000)
        shown = progress.step(step, 3.4567, 3e-3, 4_535_678, lambda: step_size, due)
        assert shown is not None
    assert len(said[1]) <= max(78, width)
    assert said[1].startswith("step 32,768 of 65,536: loss 3.4567, lr 3.00e-03")
    assert ("412k/s" if width < 100 else "412,334 tokens/s") in said[1]
    assert "4 d 4 h left" in said[1]
    assert ("validation in 43 min" in said[1]) == (next_one and step_size is None)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3, "3 s"), (89, "89 s"), (90, "2 min"), (3599, "60 min"), (3600, "1 h"), (12_000, "3 h 20 min"), (7199, "2 h"),
     (180_000, "2 d 2 h"), (172_790, "2 d")],
)  # fmt: skip
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_large_numbers_are_words():
    assert [in_words(n) for n in (999_999, 1_500_000, 5_200_000_000, 2 * 10**12)] == [
        "999,999", "1.5 million", "5.2 billion", "2.0 trillion",
    ]  # fmt: skip


def test_idle_cores_are_said():
    cores = len(os.sched_getaffinity(0))
    cpu = torch.device("cpu")
    one = TrainSettings(steps=1, batch_size=1, num_threads=1)
    said = threads_line(one, cpu)
    assert (said is None) == (cores == 1)
    assert said is None or f"1 thread (train.num_threads), but this machine has {cores} cores" in said
    assert threads_line(TrainSettings(steps=1, batch_size=1, num_threads=cores), cpu) is None
    assert threads_line(one, torch.device("cuda")) is None
