"""Stages of several passes: results pass by pass; killed anywhere and continued, the same bytes and no work twice."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.errors import TamizError
from corpora.files import write_bytes
from corpora.manifest import MadeFrom, record
from corpora.parted import Part, PartedWriter, parts, read_part
from corpora.randomness import digest
from corpora.verify import verify
from pipelines.accounts import input_identities
from pipelines.items import ItemReader
from pipelines.once import ItemResult, once
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Pass, run_stage
from tests.conftest import digests

SCHEMA = pa.schema([("key", pa.uint64()), ("item", pa.int32()), ("row", pa.int32())])
_log: list[str] = []
_fuse: list[int] = []  # units until the next one fails


def _burn(name: str) -> None:
    if _fuse:
        _fuse[0] -= 1
        if _fuse[0] < 0:
            raise TamizError("stopped")
    _log.append(name)


@dataclass(frozen=True)
class KeyWork:
    """First pass: the key of every document, parted."""

    out: str
    fingerprint: str = "f"

    def __call__(self, item: WorkItem) -> ItemResult:
        _burn(f"keys {item.name}")
        path = Path(self.out) / manifest.PROGRESS / "keys" / f"{item.name}.parquet"
        with ItemReader(self.out, item) as reader, PartedWriter(path, SCHEMA) as writer:
            for batch in reader.batches():
                keys = np.array([digest(0, text) & (1 << 64) - 1 for text in batch.texts], np.uint64)
                number = pa.array([item.number] * len(keys), pa.int32())
                writer.write([pa.array(keys), number, pa.array(batch.rows)], keys)
        return reader.result(kept=reader.read - reader.rejected, scratch=[record(Path(self.out), path)])


@dataclass(frozen=True)
class RepeatWork:
    """Second pass: (item, row) of every document that an earlier one equals."""

    out: str
    fingerprint: str = "f"

    def __call__(self, part: Part) -> ItemResult:
        _burn(f"repeats {part.name}")
        out, found = Path(self.out), []
        for path in sorted((out / manifest.PROGRESS / "keys").iterdir()):
            for number in part.hashed:
                for table in read_part(path, number):
                    found += [tuple(row.values()) for row in table.to_pylist()]
        seen: Counter[int] = Counter()
        repeats = []
        for key, item, row in sorted(found, key=lambda r: (r[1], r[2])):
            if seen[key]:
                repeats.append([item, row])
            seen[key] += 1
        path = out / manifest.PROGRESS / "repeats" / f"{part.name}.json"
        write_bytes(path, json.dumps(repeats).encode())
        return ItemResult(name=part.name, number=part.number, scratch=[record(out, path)])


@dataclass(frozen=True)
class MarkWork:
    """Third pass, over the items again: a file of the rows of each that repeat."""

    out: str
    fingerprint: str = "f"

    def __call__(self, item: WorkItem) -> ItemResult:
        _burn(f"marks {item.name}")
        out = Path(self.out)
        files = (out / manifest.PROGRESS / "repeats").iterdir()
        rows = sorted(row for file in files for number, row in json.loads(file.read_bytes()) if number == item.number)
        write_bytes(out / f"{item.name}.json", json.dumps(rows).encode())
        return ItemResult(name=item.name, number=item.number, files=[record(out, out / f"{item.name}.json")])


@pytest.fixture
def items(tmp_path: Path) -> list[WorkItem]:
    texts = [f"texto {n % 7}" for n in range(40)]
    for k in range(4):
        lines = [json.dumps({"text": text}) + "\n" for text in texts[10 * k : 10 * k + 10]]
        (tmp_path / f"in{k}.jsonl").write_text("".join(lines) + "broken\n")
    return work_items([str(tmp_path / "in*.jsonl")])


def run(out: Path, items: list[WorkItem], workers: int = 1, progress: Any = None) -> list[list[ItemResult]]:
    made_from = MadeFrom(stage="repeats", algorithm=1, settings={}, inputs=input_identities(items, out))
    passes = [Pass(KeyWork(str(out)), items), Pass(RepeatWork(str(out)), parts()), Pass(MarkWork(str(out)), items)]
    seen: list[list[ItemResult]] = []

    def finish(*results: list[ItemResult]) -> Finish:
        seen.extend(results)
        return Finish(facts={"passes": len(results)})

    run_stage(out, made_from, passes, RunnerSettings(workers=workers), progress=progress, finish=finish)
    return seen


def test_results_of_every_pass_and_one_account(items, tmp_path):
    out, told = tmp_path / "out", []
    results = run(out, items, progress=lambda done, total: told.append((done, total)))
    assert [len(found) for found in results] == [4, 64, 4]
    assert json.loads((out / "in0.jsonl.json").read_bytes()) == [7, 8, 9]
    assert json.loads((out / "in3.jsonl.json").read_bytes()) == list(range(10))
    content = manifest.read(out)
    assert content.counts == {"read": 44, "kept": 40, "sampled_out": 0, "rejected": {"not JSON": 4}}
    assert [item["name"] for item in content.items] == [item.name for item in items]
    assert content.facts == {"passes": 3}
    assert verify(out)[1] == []
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize("after", [0, 2, 4, 5, 40, 67, 68, 70, 71])
def test_killed_after_any_unit_it_continues_to_the_same_bytes(items, tmp_path, after):
    """A pass over the items that comes third has notes of its own, though its units are named like the first's."""
    run(tmp_path / "whole", items, workers=2)
    _fuse[:] = [after]
    _log.clear()
    with pytest.raises(TamizError, match="stopped"):
        run(tmp_path / "out", items)
    _fuse.clear()
    run(tmp_path / "out", items)
    assert sorted(Counter(_log).values()) == [1] * 72  # 4 + 64 + 4
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


@pytest.mark.parametrize("damaged", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1])])
def test_scratch_that_was_damaged_meanwhile_is_made_again(items, tmp_path, damaged):
    run(tmp_path / "whole", items)
    _fuse[:] = [40]
    with pytest.raises(TamizError, match="stopped"):
        run(tmp_path / "out", items)
    _fuse.clear()
    _log.clear()
    keys = tmp_path / "out" / manifest.PROGRESS / "keys" / "in1.jsonl.parquet"
    keys.write_bytes(damaged(keys.read_bytes()))
    run(tmp_path / "out", items)
    assert _log.count("keys in1.jsonl") == 1
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_an_output_that_was_damaged_meanwhile_is_made_again(items, tmp_path):
    run(tmp_path / "whole", items)
    _fuse[:] = [70]
    with pytest.raises(TamizError, match="stopped"):
        run(tmp_path / "out", items)
    _fuse.clear()
    _log.clear()
    path = tmp_path / "out" / "in1.jsonl.json"
    path.write_bytes(b"?" + path.read_bytes()[1:])
    run(tmp_path / "out", items)
    assert _log == ["marks in1.jsonl", "marks in2.jsonl", "marks in3.jsonl"]
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_a_result_is_of_one_unit_and_one_work(items, tmp_path):
    """Other borders of items, or other settings, and the file of the same name isn't its result."""
    once(work := KeyWork(str(tmp_path)), items[0])
    _log.clear()
    once(work, items[0])
    assert _log == []
    once(work, msgspec.structs.replace(items[0], end=5))
    once(KeyWork(str(tmp_path), "other"), items[0])
    assert _log == ["keys in0.jsonl"] * 2
