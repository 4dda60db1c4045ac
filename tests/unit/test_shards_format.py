"""Shards at rest, and the parts that one work item writes."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from corpora import randomness
from corpora.encoding.byte_encoder import ByteEncoder
from corpora.encoding.flat import id_dtype
from corpora.errors import BadArgument, DamagedFile, TamizError
from corpora.texts import utf8
from corpora.tokens import causal
from corpora.tokens.build import ItemShards, build_item, finish_tails, unaccounted
from corpora.tokens.build_facts import unigram_entropy_nats
from corpora.tokens.causal import Ragged
from corpora.tokens.objectives import OBJECTIVES, Causal, SpanCorruption
from corpora.tokens.shapes import lengths
from corpora.tokens.shards import ShardWriter, read_rows
from corpora.tokens.split import validation_mask
from tests.reference import t5_span_corruption as t5

COLUMNS = {"input_ids": (8, np.uint16), "labels": (3, np.uint16)}


ENCODER = ByteEncoder(100)
SENTINELS = set(range(259, 359))


def texts(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    words = ["sobre", "la", "mesa", "había", "un", "libro", "abierto", "y", "nadie", "leía"]
    return [" ".join(random.choice(words, random.integers(1, 60)).tolist()) + f" {i}" for i in range(count)]


def batches(items: list[str], size: int) -> list[list[str]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def write(path: Path, rows: int) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(0).integers(0, 65_535, (rows, 11)).astype(np.uint16)
    columns = {"input_ids": ids[:, :8], "labels": ids[:, 8:]}
    with ShardWriter(path, COLUMNS) as writer:
        for begin in range(0, rows, 1024):
            writer.write({name: array[begin : begin + 1024] for name, array in columns.items()})
    return columns


@pytest.mark.parametrize(("vocab_size", "dtype"), [(5000, np.uint16), (65_535, np.uint16), (65_536, np.uint32)])
def test_id_dtype(vocab_size, dtype):
    assert id_dtype(vocab_size) == dtype


def test_rows_come_back(tmp_path):
    columns = write(tmp_path / "a.parquet", 2500)
    rows = read_rows(tmp_path / "a.parquet")
    assert {name: array.dtype for name, array in rows.items()} == dict.fromkeys(COLUMNS, np.uint16)
    for name, array in columns.items():
        assert np.array_equal(rows[name], array)
    metadata = pq.ParquetFile(tmp_path / "a.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1024, 1024, 452]
    column = metadata.row_group(0).column(0)
    assert "BYTE_STREAM_SPLIT" in column.encodings
    assert column.compression == "ZSTD"


def test_equal_rows_give_equal_bytes(tmp_path):
    write(tmp_path / "a.parquet", 1500)
    write(tmp_path / "b.parquet", 1500)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_ragged_columns_come_back(tmp_path):
    offsets = np.arange(0, 2 * 1500 + 1, 2, dtype=np.int32)
    values = np.arange(3000, dtype=np.int32)
    with ShardWriter(tmp_path / "a.parquet", {"starts": (None, np.int32)}) as writer:
        writer.write({"starts": Ragged(offsets[:1025], values[:2048])})
        writer.write({"starts": Ragged(offsets[1024:] - 2048, values[2048:])})
    starts = read_rows(tmp_path / "a.parquet")["starts"]
    assert starts.offsets.tolist() == offsets.tolist()
    assert starts.values.tolist() == values.tolist()


def test_no_rows_no_file(tmp_path):
    write(tmp_path / "a.parquet", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_writer_leaves_nothing(tmp_path):
    rows = {"input_ids": np.zeros((5, 8), np.uint16), "labels": np.zeros((5, 3), np.uint16)}

    def stop_after_a_group() -> None:
        with ShardWriter(tmp_path / "a.parquet", COLUMNS) as writer:
            writer.write(rows)
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stop_after_a_group()
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(TamizError, match=r"can't write .*a\.parquet"):
        write(tmp_path / "a.parquet", 5)
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def test_a_truncated_shard_is_damaged(tmp_path):
    write(tmp_path / "a.parquet", 50)
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-10])
    with pytest.raises(DamagedFile, match=r"a\.parquet can't be read as a shard"):
        read_rows(tmp_path / "a.parquet")


def test_a_shard_with_a_name_that_is_no_text_is_damaged(tmp_path):
    write(tmp_path / "a.parquet", 100)
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data.replace(b"labels", b"lab\xf9ls"))
    with pytest.raises(DamagedFile, match="a\\.parquet can't be read"):
        read_rows(tmp_path / "a.parquet")


def test_datasets_reads_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets = pytest.importorskip("datasets")
    columns = write(tmp_path / "a.parquet", 30)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "a.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded[7] == {name: array[7].tolist() for name, array in columns.items()}


@pytest.mark.parametrize(
    ("objective", "packing"), [("span-corruption", "concatenate"), ("causal", "concatenate"), ("causal", "best-fit")]
)
def test_batches_do_not_change_the_bytes_and_every_id_is_accounted(tmp_path, monkeypatch, objective, packing):
    monkeypatch.setattr("corpora.tokens.best_fit.WINDOW_IDS", 1 << 14)
    options = {"objective": objective, "packing": packing, "sequence_length": 128, "validation_fraction": 0.2}
    settings = OBJECTIVES.convert(options)
    corpus = texts(1500)
    results = [
        build_item(
            map(utf8, batches(corpus, size)), ENCODER, settings, folder=tmp_path / str(size), part="part-00000"
        )
        for size in (1, 400)
    ]
    assert results[0] == results[1]
    item = results[0]
    assert item.files == ["train/part-00000.parquet", "validation/part-00000.parquet"]
    for file in item.files:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "400" / file).read_bytes()
    assert item.documents == 1500
    for split in item.splits.values():
        assert split.separators == split.documents
        assert unaccounted(split) == 0
        width = 128 if objective == "causal" else lengths(128)[0]
        assert split.row_ids == split.rows * width or (packing == "best-fit" and split.row_ids < split.rows * width)
    held_out = [t for t in corpus if randomness.uniform(0, "validation", t) < 0.2]
    assert [*validation_mask(utf8(corpus), 0.2)] == [t in held_out for t in corpus]
    assert item.splits["validation"].documents == len(held_out)
    assert item.splits["validation"].ids_encoded == sum(len(t.encode()) for t in held_out)
    assert msgspec.json.decode(msgspec.json.encode(item), type=ItemShards) == item


def test_rows_hold_the_documents_in_order(tmp_path):
    settings = SpanCorruption(sequence_length=64, validation_fraction=0.0, random_roll=True)
    corpus = texts(600)
    item = build_item([utf8(corpus)], ENCODER, settings, folder=tmp_path, part="p")
    rows = read_rows(tmp_path / "train/p.parquet")
    raw = [
        t5.reassemble(inputs, labels, SENTINELS, eos_id=1)
        for inputs, labels in zip(rows["input_ids"].tolist(), rows["labels"].tolist(), strict=True)
    ]
    stream = [i for row in raw for i in row] + item.splits["train"].tail.array.tolist()
    assert stream == [i for t in corpus for i in [*(b + 3 for b in t.encode()), 1]]
    counts = np.bincount(rows["labels"].reshape(-1), minlength=359).tolist()
    assert item.splits["train"].counts(ENCODER.vocab_size).tolist() == counts
    assert item.splits["validation"].file is None


def test_causal_rows_know_where_documents_begin(tmp_path):
    settings = Causal(sequence_length=65, validation_fraction=0.0)
    item = build_item([utf8(texts(300))], ENCODER, settings, folder=tmp_path, part="p")
    rows = read_rows(tmp_path / "train/p.parquet")
    stream = rows["input_ids"].reshape(-1)
    expected = np.flatnonzero(np.concatenate([[1], stream[:-1]]) == 1)
    starts = rows["document_starts"]
    row = np.repeat(np.arange(len(rows["input_ids"])), np.diff(starts.offsets))
    assert (row * 65 + starts.values).tolist() == expected.tolist()
    assert item.splits["train"].counts(ENCODER.vocab_size).sum() == len(rows["input_ids"]) * 64


def test_tails_become_a_last_part_and_leave_less_than_a_row(tmp_path):
    settings = SpanCorruption(sequence_length=128, validation_fraction=0.3)
    items = [
        build_item([utf8(texts(40, seed))], ENCODER, settings, folder=tmp_path, part=f"part-{seed:05}")
        for seed in range(7)
    ]
    last = finish_tails(items, ENCODER, settings, folder=tmp_path, part="part-00007")
    for split in ("train", "validation"):
        parts = [i.splits[split] for i in [*items, last]]
        assert [unaccounted(part) for part in parts] == [0] * 8
        assert parts[-1].carried == sum(part.tail.num_ids for part in parts[:-1])
        assert parts[-1].rows > 0
        assert parts[-1].tail.num_ids < lengths(128)[0]
    assert last.documents == 0
    assert (tmp_path / "train/part-00007.parquet").exists()


def test_noise_differs_by_part_and_seed(tmp_path):
    corpus = texts(300)
    labels = []
    for part, seed in [("a", 0), ("b", 0), ("c", 1)]:
        settings = SpanCorruption(sequence_length=128, validation_fraction=0.0, seed=seed)
        build_item([utf8(corpus)], ENCODER, settings, folder=tmp_path, part=part)
        labels.append(read_rows(tmp_path / f"train/{part}.parquet")["labels"].tolist())
    assert len({str(rows) for rows in labels}) == 3


def test_too_few_sentinels_are_named_before_any_text_is_read(tmp_path):
    def unread():
        raise AssertionError("read")
        yield []

    with pytest.raises(
        BadArgument, match=r"114 noise spans at .*, but the tokenizer has 100 sentinels: .*--extra-ids 114"
    ):
        build_item(unread(), ENCODER, SpanCorruption(sequence_length=2048), folder=tmp_path, part="p")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sequence_length": 1}, "sequence_length is 1"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"noise_density": 1.5}, "noise_density=1.5"),
        (
            {"noise_density": 0.5, "objective": "causal"},
            "noise_density is 0.5, but it is for span-corruption, not causal",
        ),
        ({"mean_noise_span_length": 8.0, "objective": "ul2"}, "mean_noise_span_length is 8.0, .* not ul2"),
        ({"sequence_length": 2}, "no noise token"),
    ],
)
def test_bad_settings_are_named(options, named):
    with pytest.raises(msgspec.ValidationError, match=named):
        OBJECTIVES.convert(options)


def test_the_split_is_by_text_and_seed():
    corpus = utf8([f"documento {i}" for i in range(20_000)])
    held_out = validation_mask(corpus, 0.1)
    assert abs(held_out.sum() - 2000) < 200
    assert not np.array_equal(held_out, validation_mask(corpus, 0.1, 1))
    assert not (held_out & ~validation_mask(corpus, 0.2)).any()  # a larger fraction only adds documents
    assert not validation_mask(corpus, 0.0).any()


def test_document_starts_of_each_row():
    # Rows of 4; documents begin at 0, 3, 4 and 13: row 2 has none, row 1 begins with one.
    starts = causal.document_starts(np.array([0, 3, 4, 13]), np.arange(5) * 4)
    rows = [starts.values[a:b].tolist() for a, b in itertools.pairwise(starts.offsets)]
    assert rows == [[0, 3], [0], [], [1]]
    assert starts.values.dtype == starts.offsets.dtype == np.int32


def test_entropy_of_unigrams():
    assert unigram_entropy_nats([4, 4, 0, 4, 4]) == pytest.approx(math.log(4))
    assert str(unigram_entropy_nats([9])) == "0.0"  # not -0.0
    assert unigram_entropy_nats([]) == 0
