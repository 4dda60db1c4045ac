"""What many small input files cost the process that plans a run: seconds, CPU seconds and memory of each step.

    python -m benchmarks.many_files [10000]

Local files, and the same names on a store that lists them (fsspec's memory://). Every local file is hashed once: its
sha256 is its identity. The steps are those of `tamiz score`, without the work itself.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import fsspec

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.manifest import MadeFrom
from corpora.verify import verify
from pipelines.accounts import input_identities

Result = TypeVar("Result")
PER_FOLDER = 1000


def main(number: int) -> None:
    base = Path(tempfile.mkdtemp(prefix="many-files-"))
    try:
        print(f"{number:,} files; resident before: {peak()} MB\n")
        print(f"{'step':34}{'seconds':>9}{'CPU':>8}{'peak MB':>9}")
        for name in names(number):
            (base / name).parent.mkdir(exist_ok=True)
            (base / name).write_bytes(b'{"text":"%s"}\n' % name.encode())
        plan(f"{base}/**/*.jsonl", base / "out", "local")
        memory = fsspec.filesystem("memory")
        memory.pipe({f"/many/{name}": b'{"text":"a"}\n' for name in names(number)})
        plan("memory://many/**/*.jsonl", base / "out-of-store", "store")
    finally:
        shutil.rmtree(base)


def plan(pattern: str, out: Path, kind: str) -> None:
    items = step(f"{kind}: work items", lambda: work_items([pattern]))
    inputs = step(f"{kind}: identities", lambda: input_identities(items, out))
    made_from = MadeFrom(stage="score", algorithm=1, settings={}, inputs=inputs)
    step(f"{kind}: begin", lambda: manifest.begin(out, made_from))
    step(f"{kind}: identities, again", lambda: input_identities(items, out))
    written = outputs(out, items)
    step(
        f"{kind}: finish", lambda: manifest.finish(out, records=written, items=accounts(items), counts=counts(items))
    )
    step(f"{kind}: read the manifest", lambda: manifest.read(out))
    step(f"{kind}: is it finished?", lambda: manifest.is_finished(out, made_from))
    problems = step(f"{kind}: verify", lambda: verify(out))[1]
    assert not problems, problems[:3]
    size = (out / manifest.NAME).stat().st_size
    print(f"{kind}: the manifest has {size:,} bytes, {size / len(items):.0f} for each file\n")


def outputs(out: Path, items: Sequence[WorkItem]) -> list[manifest.FileRecord]:
    written = []
    for item in items:
        path = out / f"{item.name}.parquet"
        path.write_bytes(b"scores")
        written.append(manifest.record(out, path, rows=1))
    return written


def accounts(items: Sequence[WorkItem]) -> list[dict[str, object]]:
    return [{"name": item.name, "read": 1, "kept": 1} for item in items]


def counts(items: Sequence[WorkItem]) -> dict[str, object]:
    return {"read": len(items), "kept": len(items), "sampled_out": 0, "rejected": {}}


def names(number: int) -> list[str]:
    return [f"{place // PER_FOLDER:04d}/part-{place:06d}.jsonl" for place in range(number)]


def step(name: str, work: Callable[[], Result]) -> Result:
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    print(f"{name:34}{time.perf_counter() - start:9.2f}{time.process_time() - cpu:8.2f}{peak():9}", flush=True)
    return result


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
