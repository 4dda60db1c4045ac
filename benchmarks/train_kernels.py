"""Which operations take the time of a training, and which kernel its attention ran: by torch's profiler."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch

STEPS = 2  # that are profiled, after those that are timed
ROWS = 25  # of the table
# names of kernels and operations -> the kind of attention; the first that fits counts
KINDS = (
    ("cudnn", r"cudnn.*(sdpa|flash)|scaled_dot_product_cudnn"),
    ("flex", r"flex_attention|triton_tem_"),
    ("efficient", r"fmha_cutlass|scaled_dot_product_efficient|mem_eff"),
    ("flash", r"flash_(fwd|bwd)|pytorch_flash|scaled_dot_product_flash"),
)


def attention_kinds(names: Iterable[str]) -> set[str]:
    """The kinds of fused attention among names of kernels and operations; empty: only products and softmax."""
    found = set()
    for name in names:
        kind = next((kind for kind, pattern in KINDS if re.search(pattern, name, re.IGNORECASE)), None)
        if kind is not None:
            found.add(kind)
    return found


class Profile:
    """Profiles STEPS steps after the first `after` ones; none if it isn't wanted."""

    def __init__(self, device: torch.device, after: int, *, wanted: bool) -> None:
        self._on_gpu, self._after, self._wanted = device.type == "cuda", after, wanted
        self._steps, self._profiler, self._events = 0, None, None

    def __enter__(self) -> Profile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def step(self) -> None:
        """Call after each step."""
        self._steps += 1
        if self._wanted and self._steps == self._after:
            self._profiler = torch.profiler.profile(activities=self._activities())
            self._profiler.__enter__()
        elif self._steps == self._after + STEPS:
            self._stop()

    def _activities(self) -> list[Any]:
        kinds = torch.profiler.ProfilerActivity
        return [kinds.CPU, kinds.CUDA] if self._on_gpu else [kinds.CPU]

    def _stop(self) -> None:
        if self._profiler is None:
            return
        if self._on_gpu:
            torch.cuda.synchronize()
        self._profiler.__exit__(None, None, None)
        self._events, self._profiler = self._profiler.key_averages(), None

    def kernels(self) -> set[str]:
        return attention_kinds(event.key for event in self._events or ())

    def table(self) -> str:
        """Operations by their own time; empty if nothing was profiled."""
        if self._events is None:
            return ""
        order = "self_device_time_total" if self._on_gpu else "self_cpu_time_total"
        return str(self._events.table(sort_by=order, row_limit=ROWS))
