"""The device and precision of training, and what makes its results repeatable."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from collections.abc import Iterator
from typing import Any, Literal

import torch

from corpora.errors import BadArgument
from tamiz.trainer.ranks import current
from tamiz.trainer.settings import TrainSettings

MatmulPrecision = Literal["highest", "high", "medium"]
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
    """Whether weights and activations of forward and backward are bfloat16: on a GPU only. `auto`: on one that
    supports it."""
    if device.type != "cuda":
        return False
    if settings.precision == "auto":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return settings.precision == "bfloat16"


def matmul_precision(settings: TrainSettings, device: torch.device) -> MatmulPrecision:
    """How torch multiplies matrices of float32, in its words. high: TF32 on a GPU. medium: on a CPU, rounded to
    bfloat16 and summed in float32; `auto`: on one that has units for that. All else stays float32."""
    if device.type != "cpu":
        return "high"
    if settings.precision == "auto":
        return "medium" if has_amx() else "highest"
    return "medium" if settings.precision == "bfloat16" else "highest"


def has_amx() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 with Intel's AMX."""
    asked = getattr(torch.cpu, "_is_amx_tile_supported", None)  # it has no public name
    return bool(asked and asked() and torch.backends.mkldnn.is_available())


def precision_words(settings: TrainSettings, device: torch.device) -> str:
    """For the line that says how a training computes."""
    if uses_bfloat16(settings, device):
        return "bfloat16"
    return "float32, products in bfloat16" if matmul_precision(settings, device) == "medium" else "float32"


def micro_batch_rows(settings: TrainSettings, device: torch.device, world_size: int = 1) -> int:
    """Number of rows in one forward pass of a process."""
    rows = settings.batch_size // world_size
    chosen = settings.micro_batch_size or (CPU_MICRO_BATCH if device.type == "cpu" else rows)
    return min(chosen, rows)


def tries_rows(settings: TrainSettings, device: torch.device, world_size: int) -> bool:
    """Whether the number of rows in a forward pass is found by trial: on one GPU. Of several processes, one that runs
    out of memory would leave the others waiting."""
    return settings.micro_batch_size is None and device.type == "cuda" and world_size == 1


@contextlib.contextmanager
def calm_garbage(device: torch.device) -> Iterator[None]:
    """Within the block, on a GPU, Python's garbage collector doesn't go through the objects of before: a GPU finishes
    a step in the time that takes."""
    if device.type != "cuda":
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def free_memory() -> None:
    """Gives the memory that nothing holds back to the GPU, so that larger parts fit into it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def repeatable(settings: TrainSettings) -> Iterator[None]:
    """Fixes the number of CPU threads and the precision of products, seeds torch's generator and selects
    deterministic algorithms: on a GPU only if the settings ask for them, where there is one. Restores everything
    afterwards."""
    device = choose_device(settings)
    wanted = device.type == "cpu" or settings.deterministic
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads this when CUDA starts
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only, precision = torch.is_deterministic_algorithms_warn_only_enabled(), torch.get_float32_matmul_precision()
    memory: Any = torch.utils.deterministic  # its one attribute has no type
    fills = memory.fill_uninitialized_memory
    with torch.random.fork_rng():
        try:
            torch.set_num_threads(settings.num_threads)
            torch.use_deterministic_algorithms(wanted, warn_only=torch.cuda.is_available())
            memory.fill_uninitialized_memory = False  # no kernel reads what none has written
            torch.set_float32_matmul_precision(matmul_precision(settings, device))
            torch.manual_seed(settings.seed)
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            memory.fill_uninitialized_memory = fills
            torch.set_float32_matmul_precision(precision)


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
