"""One loader in its own process on one core: python -m benchmarks.load_worker REQUEST (see benchmarks.load)."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 2048
MARK = 30_000  # a row begins with its number: n // MARK, n % MARK
Batches = Iterator[Any]
Open = Callable[[dict[str, Any]], tuple[Batches, Callable[[int], Any]]]


def ours(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    from tamiz.trainer import ShardDataset

    dataset = ShardDataset(request["shards"], batch_size=request["batch_size"], prefetch=request["prefetch"])
    if request["state"]:
        dataset.load_state_dict(request["state"])
    return (batch["input_ids"] for batch in dataset), lambda _: dataset.state_dict()


def hugging_face(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    """As in its guide: torch format and a DataLoader."""
    import torch

    dataset = _streaming(request).with_format("torch")
    if request["state"]:
        dataset.load_state_dict(request["state"])
    loader = torch.utils.data.DataLoader(dataset, batch_size=request["batch_size"])
    return (batch["input_ids"].to(torch.int64) for batch in loader), lambda _: dataset.state_dict()


def hugging_face_arrow(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    """The fastest way found: whole batches as Arrow tables, never as Python rows."""
    import torch

    dataset = _streaming(request).with_format("arrow")

    def ids(table: Any) -> Any:
        flat = table.column("input_ids").combine_chunks().flatten().to_numpy()
        return torch.from_numpy(flat.reshape(-1, WIDTH).astype(np.int64))

    return (ids(table) for table in dataset.iter(request["batch_size"])), lambda _: None


def _streaming(request: dict[str, Any]) -> Any:
    import datasets

    if not request["sleep"]:
        datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
    files = sorted(str(p) for p in Path(request["shards"]).glob("train/*.parquet"))
    dataset = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    return dataset.shuffle(seed=0, buffer_size=request["buffer_size"])


def mosaic(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    import torch
    from streaming import StreamingDataset
    from torch.utils.data import DataLoader

    dataset = StreamingDataset(
        local=request["mds"], shuffle=True, batch_size=request["batch_size"], num_canonical_nodes=1
    )
    if request["state"]:
        dataset.load_state_dict(request["state"])

    def collate(rows: list[dict[str, Any]]) -> Any:
        return torch.from_numpy(np.stack([row["input_ids"] for row in rows]).astype(np.int64))

    loader = DataLoader(dataset, batch_size=request["batch_size"], collate_fn=collate)
    return iter(loader), lambda taken: dataset.state_dict(taken, True)


def memory_map(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    """The upper bound: rows of one flat file, in a random order."""
    import torch

    rows = np.memmap(request["flat"], np.uint16, "r").reshape(-1, WIDTH)
    order, size = np.random.default_rng(0).permutation(len(rows)), request["batch_size"]
    places = (order[i : i + size] for i in range(0, len(order), size))
    return (torch.from_numpy(rows[place].astype(np.int64)) for place in places), lambda _: None


def write_mds(request: dict[str, Any]) -> None:
    from streaming import MDSWriter

    rows = np.memmap(request["flat"], np.uint16, "r").reshape(-1, WIDTH)
    with MDSWriter(out=request["mds"], columns={"input_ids": f"ndarray:uint16:{WIDTH}"}) as writer:
        for row in rows:
            writer.write({"input_ids": np.asarray(row)})


LOADERS: dict[str, Open] = {
    "ours": ours,
    "datasets": hugging_face,
    "datasets, arrow": hugging_face_arrow,
    "mosaicml": mosaic,
    "memory map": memory_map,
}
MODULES = {"ours": "tamiz.trainer.dataset", "mosaicml": "streaming", "memory map": "torch"}


def epoch(request: dict[str, Any]) -> dict[str, Any]:
    """Reads `take` rows, at most an epoch; returns which rows came and what the second half took."""
    importlib.import_module("torch").set_num_threads(1)
    importlib.import_module(MODULES.get(request["loader"], "datasets"))
    before, opened = peak_memory(), time.monotonic()
    batches, state_of = LOADERS[request["loader"]](request)
    marks: list[Any] = []
    count = request["take"] // request["batch_size"]
    for batch in batches:
        marks.append(batch[:, :2].numpy().copy())
        if len(marks) == 1:
            first = time.monotonic() - opened
        if len(marks) == count - count // 2:
            half, used = time.monotonic(), time.process_time()
        if len(marks) == count:
            break
    seconds, cpu = time.monotonic() - half, time.process_time() - used
    assert (str(batch.dtype), batch.shape[1]) == ("torch.int64", WIDTH)
    numbers = np.concatenate(marks) @ [MARK, 1]
    return {
        "first": first,
        "seconds": seconds,
        "cpu": cpu,
        "measured": count // 2 * request["batch_size"],
        "rows": numbers.tolist(),
        "state": state_of(len(numbers)),
        "memory": peak_memory() - before,
    }


def peak_memory() -> int:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    request = json.loads(Path(sys.argv[1]).read_text())
    if request["loader"] == "write mds":
        write_mds(request)
    else:
        Path(request["result"]).write_text(json.dumps(epoch(request)))
    os._exit(0)  # the threads of the loaders take seconds to end


if __name__ == "__main__":
    main()
