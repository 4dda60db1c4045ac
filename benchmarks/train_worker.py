"""One measurement of `benchmarks.train` in a process: python -m benchmarks.train_worker BLOCK [--profile FILE]

BLOCK is a Block as JSON; --machine in its place: what this machine is, and how fast it multiplies matrices. Prints
what it says on the way, then a line RESULT with JSON. tamiz's trainer is used as it is, through `train` and its
callbacks; it is stopped after the last step, before it writes a model. On a GPU, two more steps are profiled, to see
which kernels ran.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import torch

from benchmarks.train_formulas import flops_per_token
from benchmarks.train_kernels import STEPS, Profile
from benchmarks.train_precision import FLOAT32, precision_of
from benchmarks.train_rows import make_rows, make_tokenizer
from benchmarks.train_shapes import TAMIZ, Block
from benchmarks.train_timing import Stopwatch
from tamiz.trainer import train as training
from tamiz.trainer.dataset import ShardDataset
from tamiz.trainer.device import gpu_uuids
from tamiz.trainer.families import FAMILIES, ModelSettings
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.utilisation import peak_flops

THREADS = 2  # of torch, on a CPU


class Enough(Exception):
    """The last step that is measured has ended."""


def settings_of(block: Block, more_steps: int = 0) -> tuple[ModelSettings, TrainSettings]:
    """What tamiz trains. Of block.more, what this version of TrainSettings has. more_steps: after those of the
    block."""
    family = FAMILIES.convert({"family": block.shape.family, **block.shape.model})
    known = set(TrainSettings.__struct_fields__)
    return family, TrainSettings(
        steps=block.steps + more_steps, batch_size=block.batch, micro_batch_size=block.micro, learning_rate=1e-4,
        schedule="constant", validate_every=0, checkpoint_every=0, checkpoint_minutes=0, keep_checkpoint=False,
        num_threads=THREADS, **{name: value for name, value in block.more.items() if name in known},
    )  # fmt: skip


def measure(block: Block, profile: Path | None = None) -> dict[str, Any]:
    """The figures of a block. profile: also write a table of operations into this file."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    profiles = not block.losses and (profile is not None or device.type == "cuda")
    family, settings = settings_of(block, STEPS if profiles else 0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = make_tokenizer(Path(folder, "tokenizer"), family.vocab_size)
        rows = settings.steps * block.batch
        shards = make_rows(Path(folder, "shards"), tokenizer, block.shape, family.vocab_size, rows)
        watch = Stopwatch(device, block.warm_up, block.steps, gpu_uuids(device))
        said: list[str] = []
        with Profile(device, block.steps, wanted=profiles) as profiled:
            ended = (watch, profiled)
            if block.who == TAMIZ:
                with_tamiz(block, family, settings, shards, tokenizer, Path(folder, "model"), ended, said.append)
            else:
                from benchmarks.train_peer import with_transformers

                with_transformers(block, family, settings, shards, ended, device)
        timing = watch.timing()
    if profile is not None and profiles:
        profile.write_text(profiled.table())
    shape = block.shape
    return {
        "block": block.asdict(), "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": str(torch.__version__), "timing": timing.asdict(),
        "flops_per_token": flops_per_token(family, shape.width, shape.targets, shape.documents),
        "parameters": family.num_parameters(), "precision": precision_of(settings, device),
        "kernels": sorted(profiled.kernels()), "said": said,
        "not_set": sorted(set(block.more) - set(TrainSettings.__struct_fields__)),
    }  # fmt: skip


def with_tamiz(
    block: Block,
    family: ModelSettings,
    settings: TrainSettings,
    shards: Path,
    tokenizer: Path,
    out: Path,
    ended: tuple[Stopwatch, Profile],
    say: Callable[[str], None],
) -> None:
    """Trains with tamiz."""
    watch, profiled = ended

    def done(step: int, steps: int) -> None:
        watch.step()
        profiled.step()
        if step == steps and not block.losses:
            raise Enough

    def report(line: str) -> None:
        say(line)
        print(line, flush=True)

    with waits_counted(watch), contextlib.suppress(Enough):
        metrics = training.train(shards, tokenizer, out, family, settings, report=report, done=done)
        watch.losses += [point["loss"] for point in metrics["history"] if "loss" in point]


def waits_counted(watch: Stopwatch) -> AbstractContextManager[Any]:
    """Batches of the trainer's dataset pass the stopwatch. Where it makes them in another way, nothing is counted."""

    class Counted(ShardDataset):
        def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
            return watch.batches(super().__iter__())

    if not hasattr(training, "ShardDataset"):
        return contextlib.nullcontext()
    return mock.patch.object(training, "ShardDataset", Counted)


def machine() -> dict[str, Any]:
    """What figures depend on. product: operations in a second of a product of large matrices, as precise as trainings
    here; clocks: as they were found, they are never changed."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    torch.set_num_threads(THREADS)
    name = torch.cuda.get_device_name() if on_gpu else "cpu"
    return {
        "device": name, "torch": str(torch.__version__), "transformers": version("transformers"),
        "python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count(),
        "threads": THREADS, "product": product_speed(device),
        "auto_is_float32": precision_of(TrainSettings(steps=1), device) == FLOAT32,
        "peak": peak_flops(name) if on_gpu else None,
        "clocks": _clocks() if on_gpu else None, "cudnn": torch.backends.cudnn.version() if on_gpu else None,
    }  # fmt: skip


def product_speed(device: torch.device) -> float:
    """Operations in a second, of the fastest of five products of random square matrices."""
    width, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    left, right = (torch.randn(width, width, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(8):
        begun = time.perf_counter()
        torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return 2 * width**3 / min(seconds[3:])


def _clocks() -> str | None:
    """The GPU's clocks and power limit, as nvidia-smi says; None without it."""
    query = "clocks.sm,clocks.max.sm,clocks.mem,power.limit,driver_version"
    try:
        return subprocess.check_output(["nvidia-smi", f"--query-gpu={query}", "--format=csv"], text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("block", nargs="?")
    parser.add_argument("--machine", action="store_true")
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    found = machine() if given.machine else measure(Block.of(json.loads(given.block)), given.profile)
    print(f"RESULT {msgspec.json.encode(found).decode()}", flush=True)


if __name__ == "__main__":
    main()
