"""torch.compile for the layers of a model and the elements of its loss: `train.compile`.

Layers are compiled in place, one by one, each with fixed shapes. All layers of a kind share the compiled code, and
weights keep their names (`torch.compile(model)` would put `_orig_mod.` before them).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from corpora.errors import in_a_line
from tamiz.trainer.parallel import blocks
from tamiz.trainer.settings import TrainSettings

MOST_FORMS = 64  # of one layer: training and validation, with masks and without, each kind of T5's layers


def wants_compiled(settings: TrainSettings, device: torch.device, processes: int = 1) -> bool:
    """`auto`: on a GPU, unless FSDP gathers each layer, which the compiler would have to see through. On a CPU it
    needs a C++ compiler, and what it gives isn't measured."""
    gathered = processes > 1 and settings.parallel == "fsdp"
    return settings.compile == "on" or (settings.compile == "auto" and device.type == "cuda" and not gathered)


def compile_layers(model: torch.nn.Module, backend: str | Callable[..., Any] = "inductor") -> None:
    """From the next forward pass on, each layer is compiled for each shape that it gets."""
    from torch._dynamo import config

    name = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"  # before torch 2.7
    setattr(config, name, max(MOST_FORMS, getattr(config, name)))
    for layer in blocks(model):
        layer.compile(dynamic=False, backend=backend)


def uncompile_layers(model: torch.nn.Module) -> None:
    """As before `compile_layers`."""
    for layer in blocks(model):
        layer._compiled_call_impl = None  # has no public way back


def compiled_or_not(attempt: Callable[[], None], undo: Callable[[], None], report: Callable[[str], None]) -> bool:
    """Whether `attempt`, the first pass with compiled layers, succeeds. Else undoes it, and says so in one line.
    Running out of memory is no fault of the compiler: it is raised."""
    try:
        attempt()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        undo()
        report(
            f"torch.compile failed ({type(error).__name__}: {in_a_line(error)[:160]}): layers run without it; "
            "train.compile = 'off' leaves it out"
        )
        return False
    return True
