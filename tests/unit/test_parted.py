"""Keyed rows parted by hash: every row is in the part that its hash names, in every file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from corpora.parted import PARTS, PartedWriter, parts, read_part

SCHEMA = pa.schema([("key", pa.uint64()), ("row", pa.int32())])


@pytest.mark.parametrize("sizes", [[0], [1], [500, 0, 300]])
def test_a_part_holds_the_rows_of_its_hashes_in_their_order(tmp_path, sizes):
    draw = np.random.default_rng(0)
    written = [draw.integers(0, 1 << 64, size, np.uint64) for size in sizes]
    with PartedWriter(tmp_path / "keys.parquet", SCHEMA) as writer:
        for keys in written:
            writer.write([pa.array(keys), pa.array(np.arange(len(keys), dtype=np.int32))], keys)
    for part in parts():
        read = list(read_part(tmp_path / "keys.parquet", part.number))
        assert len(read) == len(sizes)
        for table, keys in zip(read, written, strict=True):
            chosen = np.flatnonzero(keys // np.uint64((1 << 64) // PARTS) == part.number)
            assert table.column("key").to_pylist() == keys[chosen].tolist()
            assert table.column("row").to_pylist() == chosen.tolist()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(ValueError, match="stopped"), PartedWriter(tmp_path / "keys.parquet", SCHEMA):
        raise ValueError("stopped")
    assert list(tmp_path.iterdir()) == []


def test_parts_are_named_in_order():
    for files, units in ((0, 1), (1, 1), (3, 4), (64, 64), (1000, 64)):
        found = parts(files)
        names = [part.name for part in found]
        assert names == sorted(set(names))
        assert len(names) == units
        assert [number for part in found for number in part.hashed] == list(range(PARTS))
