"""corpora.tokens.parquet_file: files that readers can't tell from Arrow's, whatever the columns."""

from __future__ import annotations

import resource

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpora.errors import TamizError
from corpora.tokens import parquet_file, parquet_pages, thrift
from corpora.tokens.causal import Ragged
from corpora.tokens.parquet_file import Leaf
from corpora.tokens.shards import SCALAR, ShardWriter, read_groups, read_rows
from tests.reference import arrow_shards

SPECS = {
    "document_starts": (None, np.int32),
    "num_tokens": (SCALAR, np.int32),
    "denoiser": (SCALAR, np.uint8),
    "pieces": (None, np.uint16),
}
CHUNK = (
    "path_in_schema", "physical_type", "encodings", "compression", "num_values", "has_dictionary_page",
    "is_stats_set", "file_offset",
)  # fmt: skip


def numbers(random, shape, dtype, spread):
    """Ids as they come: of all that the dtype holds, few of them, one."""
    limits = np.iinfo(dtype)
    ends = {"whole": (limits.min, limits.max), "few": (0, 100), "one": (limits.max, limits.max)}[spread]
    found = random.integers(*ends, shape, dtype, endpoint=True)
    if spread == "whole" and found.size > 1:
        found.flat[0], found.flat[-1] = limits.max, limits.min
    return found


def ragged(random, rows, dtype, longest):
    offsets = np.concatenate([[0], np.cumsum(random.integers(0, longest, rows, endpoint=True))]).astype(np.int32)
    return Ragged(offsets, numbers(random, int(offsets[-1]), dtype, "whole"))


def group(random, rows, specs, spread, longest):
    return {
        name: ragged(random, rows, dtype, longest)
        if width is None
        else numbers(random, rows if width == SCALAR else (rows, width), dtype, spread)
        for name, (width, dtype) in specs.items()
    }


def write(path, specs, groups):
    with ShardWriter(path, specs) as writer:
        for columns in groups:
            writer.write(columns)


def checked_against_arrow(folder, specs, groups):
    """The file of ours, after all that Arrow says of it was found equal to what it says of its own."""
    ours, arrows = folder / "ours.parquet", folder / "arrows.parquet"
    write(ours, specs, groups)
    arrow_shards.write(arrows, specs, groups)
    with pq.ParquetFile(ours) as found, pq.ParquetFile(arrows) as wanted:
        assert found.schema.equals(wanted.schema)
        assert str(found.schema).split("\n")[1:] == str(wanted.schema).split("\n")[1:]
        assert found.schema_arrow.equals(wanted.schema_arrow, check_metadata=True)
        assert found.metadata.metadata == wanted.metadata.metadata
        assert found.metadata.format_version == wanted.metadata.format_version
        assert found.metadata.num_rows == wanted.metadata.num_rows
        assert found.num_row_groups == wanted.num_row_groups == len(groups)
        for place in range(len(groups)):
            assert chunks(found.metadata.row_group(place)) == chunks(wanted.metadata.row_group(place))
            read = found.read_row_group(place)
            read.validate(full=True)
            assert read.equals(wanted.read_row_group(place))
        assert found.read().equals(wanted.read())
    return ours


def chunks(row_group):
    columns = map(row_group.column, range(row_group.num_columns))
    return [row_group.num_rows, *([getattr(column, name) for name in CHUNK] for column in columns)]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.one_of(st.integers(1, 30), st.integers(1, 3000)),
    width=st.one_of(st.integers(1, 40), st.integers(1, 5000)),
    dtype=st.sampled_from([np.uint16, np.uint32]),
    spread=st.sampled_from(["whole", "few", "one"]),
    longest=st.integers(0, 20),
    page=st.sampled_from([1, 100, 1 << 18]),
    seed=st.integers(0, 2**32),
)
@example(rows=2, width=300_000, dtype=np.uint16, spread="few", longest=3, page=1 << 18, seed=0)
@example(rows=3000, width=1, dtype=np.uint32, spread="whole", longest=0, page=1 << 18, seed=0)
def test_arrow_reads_what_it_would_have_written(tmp_path_factory, rows, width, dtype, spread, longest, page, seed):
    rows = min(rows, 1 + 600_000 // width, 50 * page)
    specs = {"input_ids": (width, dtype), **SPECS}
    random = np.random.default_rng(seed)
    groups = [group(random, count, specs, spread, longest) for count in (rows, 1 + rows // 3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_pages, "PAGE_VALUES", page)
        path = checked_against_arrow(tmp_path_factory.mktemp("file"), specs, groups)
    for found, wanted in zip(read_groups(path), groups, strict=True):
        for name, column in wanted.items():
            if isinstance(column, Ragged):
                assert np.array_equal(found[name].offsets, column.offsets)
                assert np.array_equal(found[name].values, column.values)
            else:
                assert found[name].dtype == column.dtype
                assert np.array_equal(found[name], column)


def test_the_schema_is_arrows_to_the_byte(tmp_path):
    """So too ConvertedType, which Arrow reads only where there is no LogicalType."""
    specs = {"input_ids": (8, np.uint16), "wide": (3, np.uint32), **SPECS}
    path = checked_against_arrow(tmp_path, specs, [group(np.random.default_rng(0), 5, specs, "few", 3)])
    leaves = [Leaf(name, np.dtype(dtype), width != SCALAR) for name, (width, dtype) in specs.items()]
    schema = thrift.array(parquet_file._schema(leaves)).data
    assert schema in path.read_bytes()
    assert schema in (tmp_path / "arrows.parquet").read_bytes()
    assert pq.read_metadata(path).created_by == "tamiz"  # and no version


def test_many_columns_and_row_groups(tmp_path):
    specs = {f"columna_ñ_{place}": (1 + place, np.uint16) for place in range(20)}
    random = np.random.default_rng(0)
    checked_against_arrow(tmp_path, specs, [group(random, 1 + place % 3, specs, "whole", 0) for place in range(300)])


def test_slices_of_arrays_and_of_lists(tmp_path):
    ids = np.arange(600, dtype=np.uint16).reshape(30, 20)
    starts = Ragged(np.arange(0, 91, 3, dtype=np.int32)[10:], np.arange(90, dtype=np.int32))
    ids.flags.writeable = False
    columns = {"input_ids": ids[10:, 3:11], "starts": starts, "denoiser": np.arange(60, dtype=np.uint8)[::3]}
    checked_against_arrow(
        tmp_path, {"input_ids": (8, np.uint16), "starts": (None, np.int32), "denoiser": (SCALAR, np.uint8)}, [columns]
    )


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"input_ids": np.zeros((5, 8), np.uint32)}, "input_ids holds uint32 of width 8, not uint16 of 8"),
        ({"input_ids": np.zeros((5, 7), np.uint16)}, "input_ids holds uint16 of width 7"),
        ({"input_ids": np.zeros((5, 8), ">u2")}, "input_ids holds >u2"),
        ({"n": np.zeros((5, 1), np.int32)}, "n holds int32 of width 1"),
        ({"input_ids": np.zeros((6, 8), np.uint16)}, "'input_ids': 6, 'n': 5"),
    ],
)
def test_columns_of_another_kind_are_refused(tmp_path, columns, named):
    specs = {"input_ids": (8, np.uint16), "n": (SCALAR, np.int32)}
    whole = {"input_ids": np.zeros((5, 8), np.uint16), "n": np.zeros(5, np.int32)}
    with pytest.raises(ValueError, match=named):
        write(tmp_path / "p.parquet", specs, [whole, {**whole, **columns}])
    with pytest.raises(ValueError, match="int64"):
        write(tmp_path / "p.parquet", {"n": (SCALAR, np.int64)}, [{"n": np.zeros(5, np.int64)}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("groups", [1, 4])  # the first fails as the file is closed, the second as a page is written
def test_a_full_disk_is_told(tmp_path, groups):
    ids = np.random.default_rng(0).integers(0, 2**16, (40, 50 * groups**5)).astype(np.uint16)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(TamizError, match=r"can't write .*p\.parquet: File too large"):
            write(tmp_path / "p.parquet", {"input_ids": (ids.shape[1], np.uint16)}, [{"input_ids": ids}] * groups)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_thrift():
    zigzag = [(0, "00"), (-1, "01"), (1, "02"), (63, "7e"), (64, "8001"), (2**31 - 1, "feffffff0f")]
    assert [thrift.i32(number).data.hex() for number, _ in zigzag] == [data for _, data in zigzag]
    assert thrift.i64(-(2**63)).data.hex() == "ff" * 9 + "01"
    for number in (2**31, -(2**31) - 1):
        with pytest.raises(OverflowError, match=str(number)):
            thrift.i32(number)


def test_more_row_groups_than_have_a_number(tmp_path):
    column = {"n": np.zeros(1, np.uint8)}
    write(tmp_path / "p.parquet", {"n": (SCALAR, np.uint8)}, [column] * (2**15 + 2))
    assert len(read_rows(tmp_path / "p.parquet")["n"]) == 2**15 + 2
