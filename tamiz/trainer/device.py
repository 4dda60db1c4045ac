"""The device and precision of training, and what makes its results repeatable."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

import torch

from corpora.errors import BadArgument
from tamiz.trainer.ranks import current
from tamiz.trainer.settings import TrainSettings

CPU_MICRO_BATCH = 4  # at 512 ids: as fast as 32 on two cores, in a third of the memory


def choose_device(settings: TrainSettings) -> torch.device:
    """The device to train on: of several processes on a machine, each has a GPU of its own. Raises BadArgument if the
    settings name a GPU but there is none, or fewer than processes."""
    available = torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise BadArgument(
            "train.device is 'cuda' but torch finds no GPU: use 'auto' or 'cpu', or install a CUDA build of torch"
        )
    if not available or settings.device == "cpu":
        return torch.device("cpu")
    place, gpus = current().place, torch.cuda.device_count()
    if place.local_world_size > gpus:
        raise BadArgument(
            f"torchrun has started {place.local_world_size} processes on this machine, which has {gpus} GPUs: use "
            f"--nproc-per-node {gpus}, or --set train.device=cpu"
        )
    return torch.device("cuda") if place.world_size == 1 else torch.device("cuda", place.local_rank)


def uses_bfloat16(settings: TrainSettings, device: torch.device) -> bool:
    """`auto` means bfloat16 on a GPU that supports it, and float32 on a CPU."""
    if settings.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return settings.precision == "bfloat16"


def micro_batch_rows(settings: TrainSettings, device: torch.device, world_size: int = 1) -> int:
    """Number of rows in one forward pass of a process."""
    rows = settings.batch_size // world_size
    chosen = settings.micro_batch_size or (CPU_MICRO_BATCH if device.type == "cpu" else rows)
    return min(chosen, rows)


@contextlib.contextmanager
def repeatable(settings: TrainSettings) -> Iterator[None]:
    """Fixes the number of CPU threads, seeds torch's generator and selects deterministic algorithms (on a GPU: if
    there is one). Restores everything afterwards."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads this when CUDA starts
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng():
        try:
            torch.set_num_threads(settings.num_threads)
            torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
            torch.manual_seed(settings.seed)
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def gpu_uuids(device: torch.device) -> tuple[str, ...]:
    """The GPU of this process, and with torchrun those of all processes of this machine, as NVML names them."""
    if device.type != "cuda":
        return ()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    numbers = range(min(here, torch.cuda.device_count())) if here > 1 else (torch.cuda.current_device(),)
    return tuple(f"GPU-{torch.cuda.get_device_properties(number).uuid}" for number in numbers)


def peak_memory_bytes(device: torch.device) -> int:
    """Peak memory so far: of torch on a GPU, of this process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
