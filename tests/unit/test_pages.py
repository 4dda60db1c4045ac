"""corpora.rows.pages: ids equal Arrow's, and what isn't such a page is refused or left to Arrow."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.rows import pages
from corpora.tokens.shards import ShardWriter


def write(path, rows, group_rows=128):
    with ShardWriter(path, {"other": (2, np.uint16), "input_ids": (rows.shape[1], rows.dtype)}) as writer:
        for first in range(0, len(rows), group_rows):
            group = rows[first : first + group_rows]
            writer.write({"other": np.zeros((len(group), 2), np.uint16), "input_ids": group})
    return path


def read(path, group=0, dtype=np.uint16):
    footer = pq.read_metadata(path)
    chunk = footer.row_group(group).column(pages.column_index(footer.schema, "input_ids"))
    assert pages.can_read(chunk, chunk.num_values)
    out = np.empty(chunk.num_values, dtype)
    with path.open("rb") as file:
        pages.PageReader().read_ids(file, chunk, out)
    return out


def by_arrow(path, group=0):
    return pq.ParquetFile(path).read_row_group(group).column("input_ids").combine_chunks().flatten().to_numpy()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 300), st.sampled_from([np.uint16, np.uint32]), st.integers(0, 2**32))
def test_ids_equal_arrows(tmp_path_factory, count, width, dtype, seed):
    top = np.iinfo(dtype).max
    rows = np.random.default_rng(seed).integers(0, top, (count, width), dtype, endpoint=True)
    rows.flat[0], rows.flat[-1] = top, 0
    path = write(tmp_path_factory.mktemp("pages") / "p.parquet", rows, group_rows=7)
    for group in range(-(-count // 7)):
        found = read(path, group, dtype)
        assert np.array_equal(found, by_arrow(path, group))
        assert np.array_equal(found, rows[group * 7 : group * 7 + 7].reshape(-1))


def test_a_group_of_many_pages(tmp_path):
    rows = np.random.default_rng(0).integers(0, 5000, (1024, 2048)).astype(np.uint16)
    path = write(tmp_path / "p.parquet", rows, group_rows=1024)
    content = path.read_bytes()
    chunk = pq.read_metadata(path).row_group(0).column(1)
    place, count = chunk.data_page_offset, 0
    while place < chunk.data_page_offset + chunk.total_compressed_size:
        place, count = pages.page_header(memoryview(content), place).end, count + 1
    assert count > 1
    assert np.array_equal(read(path), rows.reshape(-1))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "snappy", "use_dictionary": False, "column_encoding": "BYTE_STREAM_SPLIT"},
        {"compression": "zstd", "use_dictionary": False},
        {"compression": "zstd"},
    ],
)
def test_other_encodings_are_left_to_arrow(tmp_path, options):
    kind = pa.list_(pa.field("element", pa.uint16(), nullable=False), 4)
    ids = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(40, dtype=np.uint16)), type=kind)
    table = pa.table([ids], schema=pa.schema([pa.field("input_ids", kind, nullable=False)]))
    pq.write_table(table, tmp_path / "p.parquet", **options)
    footer = pq.read_metadata(tmp_path / "p.parquet")
    assert pages.column_index(footer.schema, "input_ids") == 0
    assert not pages.can_read(footer.row_group(0).column(0), 40)


def test_columns_that_may_hold_nulls_or_no_lists_are_left_to_arrow(tmp_path):
    ids = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(40, dtype=np.uint16)), 4)
    pq.write_table(pa.table({"input_ids": ids, "num_tokens": pa.array([1] * 10)}), tmp_path / "p.parquet")
    schema = pq.read_metadata(tmp_path / "p.parquet").schema
    assert [pages.column_index(schema, name) for name in ("input_ids", "num_tokens", "none")] == [None, None, None]


def test_a_damaged_chunk_is_a_value_error_and_never_more(tmp_path):
    rows = np.random.default_rng(0).integers(0, 5000, (20, 64)).astype(np.uint16)
    path = write(tmp_path / "p.parquet", rows)
    content, chunk = path.read_bytes(), pq.read_metadata(path).row_group(0).column(1)
    begin, refused = chunk.data_page_offset, 0
    for place in range(begin, begin + 60):
        for flipped in (1, 128, 255):
            damaged = bytearray(content)
            damaged[place] ^= flipped
            try:
                pages.PageReader().read_ids(io.BytesIO(damaged), chunk, np.empty(20 * 64, np.uint16))
            except ValueError:
                refused += 1
    assert refused > 60
    with pytest.raises(ValueError, match="bytes of"):
        pages.PageReader().read_ids(io.BytesIO(content[: begin + 9]), chunk, np.empty(20 * 64, np.uint16))
    with pytest.raises(ValueError, match="where 1279 are left"):
        pages.PageReader().read_ids(io.BytesIO(content), chunk, np.empty(20 * 64 - 1, np.uint16))
    with pytest.raises(ValueError, match="1280 ids of 1281"):
        pages.PageReader().read_ids(io.BytesIO(content), chunk, np.empty(20 * 64 + 1, np.uint16))
