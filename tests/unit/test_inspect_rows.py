"""Rows as a person reads them: found by number, put together again, whole characters, every exit code."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import manifest
from corpora.encoding import load_encoder
from corpora.errors import BadArgument, DamagedFile
from corpora.manifest import MadeFrom
from corpora.tokens.facts import ShardFacts, facts_of
from corpora.tokens.inspect_rows import read_row, vocabulary
from corpora.tokens.objectives import OBJECTIVES
from corpora.tokens.objectives.masked_rows import denoiser_name, spans_view
from corpora.tokens.plain_rows import documents_view, shift
from corpora.tokens.readable import Chunk, Reader, Segment, Vocabulary, reassemble, visible
from corpora.tokens.row_views import Row
from corpora.tokens.shards import read_rows
from pipelines.settings import RunnerSettings
from tests.command import tamiz
from tests.make_shards import make_shards
from tests.make_tokenizers import KINDS, make_tokenizer

BYT5 = load_encoder("byt5")
SMALL = Vocabulary(pad_id=0, eos_id=1, sentinels=[99, 98, 97])


def shown(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def plain(segments: list[Segment]) -> str:
    return "".join(s.text for s in segments if s.kind != "joint")


@pytest.fixture(scope="module")
def made(texts, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tokenizers")
    return {kind: make_tokenizer(kind, texts, folder / kind) for kind in KINDS}


def facts_with(**facts: object) -> ShardFacts:
    required = {"tokenizer_sha256": "", "vocab_size": 387, "objective": "ul2", "sequence_length": 9, "rows": {}}
    return msgspec.convert({"pad_id": 0, "eos_id": 1} | required | facts, ShardFacts)


def build(out: Path, demo: Path, tokenizer: str, **options: object) -> Path:
    from pipelines.shards import build_shards

    build_shards([str(demo / "documents.jsonl")], tokenizer, out, OBJECTIVES.convert(options), RunnerSettings())
    return out


@given(
    st.lists(st.tuples(st.sampled_from([1, 5, 6, 7]), st.booleans()), max_size=60),
    st.sampled_from([-1, 1]),
    st.integers(0, 3),
)
def test_source_and_target_reassemble_the_raw_row(row, step, padding):
    """Any mask, separators (1) among the ids, sentinels upwards or downwards."""
    source, target, sentinels = [], [], [900 + step * k for k in range(len(row))]
    number = -1
    for n, (token, masked) in enumerate(row):
        if masked and not (n and row[n - 1][1]):
            number += 1
            source.append(sentinels[number])
            target.append(sentinels[number])
        (target if masked else source).append(token)
    known = Vocabulary(pad_id=0, eos_id=1, sentinels=sentinels)
    found = reassemble([*source, 1], [*target, 1, *[0] * padding], known)
    assert [token for ids, _ in found.chunks for token in ids or []] == [token for token, _ in row]
    assert [sentinel for _, sentinel in found.chunks if sentinel is not None] == sentinels[: number + 1]
    assert (found.input_length, found.label_length, found.unplaced) == (len(source) + 1, len(target) + 1, [])


def test_reassembling_by_hand():
    source, target = [5, 6, 99, 1, 7, 98, 1], [99, 8, 1, 9, 98, 10, 1, 0, 0]
    assert reassemble(source, target, SMALL) == (
        [Chunk([5, 6]), Chunk([8, 1, 9], 99), Chunk([1, 7]), Chunk([10], 98)],
        7,
        7,
        [],
    )
    wrong = reassemble([5, 99, 6, 97, 1], [98, 7, 97, 8, 1], SMALL)
    assert wrong.chunks == [Chunk([5]), Chunk(None, 99), Chunk([6]), Chunk([8], 97)]
    assert wrong.unplaced == [98]
    same = Vocabulary(pad_id=50, eos_id=50, sentinels=[99])  # GPT-2's
    assert reassemble([5, 99, 50], [99, 6, 50, 50, 50], same) == ([Chunk([5]), Chunk([6], 99)], 3, 3, [])


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_spell_the_text(made, texts, kind):
    """Joints aside, what is shown is what decoding gives, newlines and control characters marked."""
    encoder = load_encoder(made[kind])
    reader = Reader(vocabulary(facts_with(pad_id=encoder.pad_id, eos_id=encoder.eos_id), encoder), encoder)
    for text in [*texts[:60], "ñandú 한국어 日本語 🎉 \x1b[31m", "a\nb"]:
        (ids,) = encoder.encode_batch([text])
        if encoder.unk_id is not None and encoder.unk_id in ids:
            continue
        if kind == "words":
            assert plain(reader.read(ids)) == encoder.decode(ids).replace(" ", "")
        else:
            assert plain(reader.read(ids)).removeprefix(" ") == visible(encoder.decode(ids)).removeprefix(" ")


@given(st.binary(max_size=40))
def test_bytes_that_are_no_characters_are_marked(data):
    segments = Reader(Vocabulary(pad_id=0, eos_id=1, unk_id=2), BYT5).read(byte + 3 for byte in data)
    found = b"".join(
        bytes(int(h, 16) for h in s.text.replace("<0x", " ").replace(">", " ").split())
        if s.kind == "broken"
        else unmarked(s.text).encode()
        for s in segments
    )
    assert found == data
    broken = any(s.kind == "broken" for s in segments)
    assert broken == (data.decode(errors="ignore").encode() != data)


def unmarked(text: str) -> str:
    return re.sub(r"<U\+([0-9A-F]{4,6})>", lambda m: chr(int(m[1], 16)), text.replace("↵\n", "\n"))


def test_a_character_in_two_tokens_is_one(made):
    encoder = load_encoder(made["byte_level"])
    (ids,) = encoder.encode_batch(["한"])
    assert len(ids) == 3
    reader = Reader(Vocabulary(pad_id=0, eos_id=0), encoder)
    assert reader.read([int(n) for n in ids] * 2) == [("한", "text"), ("·", "joint"), ("한", "text")]
    assert reader.read(ids[:2]) == [("<0xED><0x95>", "broken")]
    encoder = load_encoder(made["keeps_spaces"])  # SentencePiece's own byte pieces
    (ids,) = encoder.encode_batch(["한"])
    assert [encoder.id_to_piece(int(n)) for n in ids][-3:] == ["<0xED>", "<0x95>", "<0x9C>"]
    assert Reader(Vocabulary(pad_id=-1, eos_id=2), encoder).read(ids)[-1] == ("한", "text")


def test_a_masked_word_and_a_masked_ending(made):
    encoder = load_encoder(made["unigram"])
    known = vocabulary(facts_with(), encoder)
    reader = Reader(known, encoder)
    ids = encoder.encode_batch(["el libro de la casa"])[0].tolist()
    pieces = [encoder.id_to_piece(n) for n in ids]
    assert "".join(pieces) == "▁el▁libro▁de▁la▁casa"
    first = next(n for n, p in enumerate(pieces) if p.startswith("▁la"))
    columns = {
        "input_ids": np.array([*ids[:first], encoder.sentinel_id(0), 1]),
        "labels": np.array([encoder.sentinel_id(0), *ids[first:], 1, 0, 0]),
        "denoiser": 1,
    }
    facts = facts_with(denoisers=[{"name": "R"}, {"name": "S", "noise_density": 0.25, "mean_noise_span_length": 9}])
    found = spans_view(Row(3, 10, "train/part-00000.parquet", 0, 1, 3, columns), facts, reader)
    assert plain_text(found.segments) == "el libro de [<extra_id_0> -> la casa]</s>"
    assert dict(found.facts)["denoiser"] == "1 S (noise density 0.25, mean span 9)"
    assert dict(found.facts)["masked"].startswith(f"{len(ids) - first} ids")
    assert dict(found.facts)["labels"].endswith("; 2 padding")
    assert found.problems == []
    assert [s.kind for s in found.segments if "extra_id" in s.text] == ["sentinel"]
    assert denoiser_name(7, facts) == "7, which the manifest doesn't describe"


def plain_text(segments: list[Segment]) -> str:
    return "".join(s.text for s in segments if s.text != "·")


def test_spans_that_miss_their_other_half_are_told():
    columns = {"input_ids": np.array([5, 99, 6, 1]), "labels": np.array([98, 7, 1])}
    found = spans_view(Row(0, 1, "train/p", 0, 1, 0, columns), facts_with(), Reader(SMALL))
    assert found.problems == [
        "<extra_id_0> is in the input, not in the labels",
        "<extra_id_1> is in the labels, not in the input",
    ]
    assert shown(found.segments) == "5[<extra_id_0> -> nothing] 6</s>"


def test_documents_have_lines_of_their_own():
    ids = np.array([*(b + 3 for b in b"fin"), 1, *(b + 3 for b in b"uno"), 1, 0, 0])
    columns = {"input_ids": ids, "document_starts": np.array([4]), "num_tokens": 8}
    reader = Reader(vocabulary(facts_with(sentinel_ids={"first": 258, "step": -1, "count": 2}), BYT5), BYT5)
    found = documents_view(Row(0, 1, "train/p", 0, 1, 0, columns), reader)
    assert shown(found.segments) == (
        "── continues from the row before ──\nfin</s>\n── a document begins at 4 ──\nuno</s>\n<pad> x 2"
    )
    assert dict(found.facts)["tokens"] == "8 ids of 10; 2 padding"
    assert dict(found.facts)["documents that begin here"] == "1"
    full = documents_view(
        Row(0, 1, "train/p", 0, 1, 0, {"input_ids": ids, "document_starts": np.array([0, 40])}), reader
    )
    assert full.problems == ["document_starts has 40, past the row's 10 ids"]
    assert shown(full.segments).startswith("── a document begins at 0 ──\nfin</s>uno")
    bare = documents_view(Row(0, 1, "train/p", 0, 1, 0, {"input_ids": ids}), reader)
    assert dict(bare.facts)["documents that begin here"] == "not recorded"


def test_the_shift_is_named():
    assert shift(2049) == "ids 1 to 2,048 (row[1:]) for ids 0 to 2,047 (row[:-1]), 2,048 each"
    assert "the same 2,048 ids" in shift(2048)


def test_every_row_is_found(tmp_path):
    """Over parts and row groups, as reading whole files gives them."""
    folder = make_shards(tmp_path / "shards", parts=3, group_rows=4)
    content = manifest.read_finished(folder, "shards")
    for split in ("train", "validation"):
        parts = [read_rows(path) for path in sorted((folder / split).iterdir())]
        whole = np.concatenate([part["input_ids"] for part in parts])
        found = [read_row(folder, content, split, n) for n in range(len(whole))]
        assert np.array_equal(whole, [row.columns["input_ids"] for row in found])
        assert [row.number for row in found] == list(range(len(whole)))
        assert {row.rows for row in found} == {len(whole)}
    assert read_row(folder, content, "train", 13)[2:6] == ("train/part-00001.parquet", 1, 2, 1)
    for bad in (-1, 23):
        with pytest.raises(BadArgument, match=f"row is {bad}, but split train has 23 rows: 0 to 22"):
            read_row(folder, content, "train", bad)
    with pytest.raises(BadArgument, match=r"'test'; it has train \(23 rows\), validation \(7 rows\)"):
        read_row(folder, content, "test", 0)


def test_only_the_row_s_own_part_is_read(tmp_path):
    folder = make_shards(tmp_path / "shards", parts=3, group_rows=4)
    content = manifest.read_finished(folder, "shards")
    (folder / "train" / "part-00001.parquet").write_bytes(b"damaged")
    assert read_row(folder, content, "train", 7).group == 1
    assert read_row(folder, content, "train", 22).file == "train/part-00002.parquet"
    with pytest.raises(DamagedFile, match=r"part-00001\.parquet can't be read"):
        read_row(folder, content, "train", 9)
    pq.write_table(pa.table({"input_ids": pa.array([[1]])}), folder / "train" / "part-00001.parquet")
    with pytest.raises(DamagedFile, match="has 1 rows, but its manifest says 8"):
        read_row(folder, content, "train", 9)


def inspect(capsys, *arguments: object) -> tuple[int, str, str]:
    return tamiz(capsys, "shards", "inspect", *arguments)


def test_byt5_shards_from_the_command_line(demo, tmp_path, capsys):
    shards = build(tmp_path / "shards", demo, "byt5", sequence_length=256, mean_noise_span_length=20)
    code, out, error = inspect(capsys, shards, "--row", 2, "--split", "train")
    assert (code, error) == (0, "")
    assert "\x1b" not in out
    assert "[<extra_id_0> -> " in out
    assert "2 of " in out
    assert "row group 0 of 1" in out
    code, out, _ = inspect(capsys, shards)
    assert code == 0
    assert out.strip().splitlines()[-1].startswith("split train has ")
    rows = manifest.read(shards).facts["rows"]["train"]
    code, _, error = inspect(capsys, shards, "--row", rows)
    assert (code, error) == (2, f"error: row is {rows}, but split train has {rows:,} rows: 0 to {rows - 1}\n")


def test_every_row_of_a_mixture_of_denoisers_reads_whole(demo, made, tmp_path):
    shards = build(tmp_path / "shards", demo, made["bytes"], objective="ul2", sequence_length=200)
    content = manifest.read_finished(shards, "shards")
    encoder = load_encoder(made["bytes"])
    told = facts_of(shards, content)
    reader = Reader(vocabulary(told, encoder), encoder)
    seen = set()
    for n in range(80):
        row = read_row(shards, content, "train", n)
        found = OBJECTIVES.get(told.objective).view(row, told, reader)
        facts = dict(found.facts)
        assert (found.problems, "manifest says" in facts["raw length"]) == ([], False)
        seen.add(facts["denoiser"])
        if facts["denoiser"] == "2 S (noise density 0.25, one span, at the end)":
            assert facts["masked"].endswith("in 1 span")
            assert shown(found.segments).endswith("]</s>")
    assert len(seen) == 7


def test_the_tokenizer_must_be_the_shards_own(demo, made, tmp_path, capsys):
    shards = build(tmp_path / "shards", demo, made["unigram"], objective="causal", sequence_length=65)
    code, out, error = inspect(capsys, shards)
    assert code == 0
    assert f"there is no {tmp_path}/tokenizer: showing ids" in error
    assert "── a document begins at 0 ──" in out
    assert out.splitlines()[1].split()[0].isdigit()
    code, _, error = inspect(capsys, shards, "--tokenizer", "byt5")
    assert code == 2
    assert "is not the tokenizer of" in error
    code, named, error = inspect(capsys, shards, "--tokenizer", made["unigram"])
    assert (code, error) == (0, "")
    (tmp_path / "tokenizer").symlink_to(made["unigram"])
    code, beside, error = inspect(capsys, shards)
    assert (code, error) == (0, "")
    assert beside.splitlines()[:3] == named.splitlines()[:3]
    (tmp_path / "tokenizer").unlink()
    (tmp_path / "tokenizer").symlink_to(made["bytes"])
    code, _, error = inspect(capsys, shards)
    assert code == 0
    assert "is not the tokenizer of the shards" in error


def test_ids_alone_show_spans_where_the_manifest_names_the_sentinels(tmp_path, capsys):
    made_from = MadeFrom(stage="shards", algorithm=1, settings={}, inputs=[])
    manifest.begin(tmp_path, made_from)
    (tmp_path / "train").mkdir()
    columns = {
        "input_ids": pa.FixedSizeListArray.from_arrays(pa.array([5, 6, 63, 7, 1, 0], pa.uint16()), 6),
        "labels": pa.FixedSizeListArray.from_arrays(pa.array([63, 8, 9, 1, 0], pa.uint16()), 5),
        "denoiser": pa.array([0], pa.uint8()),
    }
    path = tmp_path / "train" / "part-00000.parquet"
    pq.write_table(pa.table(columns), path)
    facts = {
        "tokenizer_sha256": "0" * 64, "vocab_size": 64, "objective": "ul2",
        "sequence_length": 6, "rows": {"train": 1}, "pad_id": 0, "eos_id": 1, "bos_id": None,
        "sentinel_ids": {"first": 63, "step": -1, "count": 4}, "raw_length": 5, "label_length": 5,
        "denoisers": [{"name": "R3", "noise_density": 0.15, "mean_noise_span_length": 3.0}],
    }  # fmt: skip
    manifest.finish(tmp_path, records=[manifest.record(tmp_path, path, rows=1)], facts=facts)
    code, out, error = inspect(capsys, tmp_path, "--row", 0)
    assert code == 0
    assert out.splitlines()[0] == "5 6 [<extra_id_0> -> 8 9] 7</s> <pad> x 1"
    assert "0 R3 (noise density 0.15, mean span 3)" in out
    assert "showing ids" in error


def test_what_is_no_finished_shards(tmp_path, capsys):
    assert inspect(capsys, tmp_path)[0] == 1
    manifest.begin(tmp_path / "begun", MadeFrom(stage="shards", algorithm=1, settings={}, inputs=[]))
    code, _, error = inspect(capsys, tmp_path / "begun")
    assert code == 1
    assert "unfinished" in error
