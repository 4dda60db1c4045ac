"""Truncated and corrupt files: whole records before the damage are kept, and the damage is told."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.members import bunzip2, gunzip, unxz
from corpora.documents.reading import read_batches
from corpora.documents.source import Source
from corpora.errors import TamizError

LINES = [
    b'{"text":"documento %d \xc3\xb1 %s"}\n' % (n, random.Random(n).randbytes(30).hex().encode()) for n in range(40)
]
TEXTS = [msgspec.json.decode(line)["text"] for line in LINES]


def read(path: Path) -> tuple[list[str], list[str], str | None]:
    """(texts, kinds of rejected rows, damage); rows must be 0, 1, 2, ..."""
    (item,) = work_items([str(path)])
    return read_item(item)


def read_item(item: WorkItem) -> tuple[list[str], list[str], str | None]:
    found = list(read_batches(item))
    rows = sorted([int(r) for b in found for r in b.rows] + [r.row for b in found for r in b.rejected])
    assert rows == list(range(item.first_row, item.first_row + len(rows)))
    assert all(b.damage is None for b in found[:-1])
    damage = found[-1].damage if found else None
    return [t for b in found for t in b.texts], [r.kind for b in found for r in b.rejected], damage


def gzip_members(cut: int) -> tuple[bytes, set[int]]:
    """The lines as two gzip members, and where a member ends."""
    parts = [gzip.compress(b"".join(part), mtime=0) for part in (LINES[:cut], LINES[cut:])]
    return b"".join(parts), {0, len(parts[0]), len(parts[0]) + len(parts[1])}


def zstd_frames(cut: int) -> tuple[bytes, set[int]]:
    """The lines as a frame with a checksum, a skippable frame and one without; and where a frame ends."""
    first = zstandard.ZstdCompressor(write_checksum=True).compress(b"".join(LINES[:cut]))
    skippable = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    second = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(second, closefd=False) as writer:
        for line in LINES[cut:]:
            writer.write(line)
            writer.flush()  # a block a line, so that a cut leaves some of them
    parts = [first, skippable, second.getvalue()]
    return b"".join(parts), {0, len(first), len(first) + 13, sum(map(len, parts))}


def gzip_oracle(data: bytes) -> bytes:
    out = b""
    while data:
        decoder = zlib.decompressobj(31)
        out += decoder.decompress(data)
        data = decoder.unused_data
    return out


def zstd_oracle(data: bytes) -> bytes:
    return bytes(zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read())


@pytest.mark.parametrize(
    ("suffix", "make", "oracle"),
    [(".jsonl.gz", gzip_members, gzip_oracle), (".jsonl.zst", zstd_frames, zstd_oracle)],
)
def test_truncated_at_every_byte(
    tmp_path: Path,
    suffix: str,
    make: Callable[[int], tuple[bytes, set[int]]],
    oracle: Callable[[bytes], bytes],
) -> None:
    data, ends = make(25)
    path = tmp_path / f"x{suffix}"
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        texts, rejected, damage = read(path)
        whole = oracle(data[:length]).count(b"\n") if length else 0
        assert texts == TEXTS[:whole], length
        assert rejected == []
        if length in ends:
            assert damage is None, length
        else:
            assert damage is not None, length
            assert damage.startswith(f"truncated {'gzip' if 'gz' in suffix else 'zstd'}: ends at byte {length}")
    assert texts == TEXTS


@pytest.mark.parametrize(("suffix", "make"), [(".jsonl.gz", gzip_members), (".jsonl.zst", zstd_frames)])
def test_one_wrong_byte_is_damage_or_harmless(
    tmp_path: Path, suffix: str, make: Callable[[int], tuple[bytes, set[int]]]
) -> None:
    """Wherever the byte: no exception, and never a silent change (the second frame, without checksum, apart)."""
    data, ends = make(25)
    checked = sorted(ends)[1]
    path = tmp_path / f"x{suffix}"
    harmless = 0
    for position in range(checked):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x41]) + data[position + 1 :])
        texts, _, damage = read(path)
        harmless += damage is None
        assert damage or texts == TEXTS, position
    assert harmless < 12  # gzip's time, extra flags and system


def test_what_lies_before_a_wrong_byte_is_kept(tmp_path: Path) -> None:
    """Many chunks, the error in the midst of one: what a byte-wise decoder gets out is what is kept."""
    generator = random.Random(7)
    lines = [b'{"text":"%d %s"}\n' % (n, generator.randbytes(200).hex().encode()) for n in range(4000)]
    data = bytearray(gzip.compress(b"".join(lines), mtime=0))
    assert len(data) > 3 << 18
    for position in ((2 << 18) + 100_000, 5_000, len(data) - 6):
        bad = bytes(data[:position]) + bytes([data[position] ^ 0xFF]) * 8 + bytes(data[position + 8 :])
        path = tmp_path / "x.jsonl.gz"
        path.write_bytes(bad)
        texts, rejected, damage = read(path)
        assert damage is not None
        assert damage.startswith("corrupt gzip")
        decoder, sound = zlib.decompressobj(31), bytearray()
        with contextlib.suppress(zlib.error):
            for byte in range(len(bad)):
                sound += decoder.decompress(bad[byte : byte + 1])
        assert abs(len(texts) + len(rejected) - sound.count(b"\n")) <= 1
        assert len(texts) > 0.9 * len(lines) * position / len(data)
        good = [msgspec.json.decode(line)["text"] for line in lines]
        intact = next((n for n, (a, b) in enumerate(zip(texts, good, strict=False)) if a != b), len(texts))
        assert intact > 0.9 * len(lines) * position / len(data)


def test_corrupt_zstd_keeps_every_block_before(tmp_path: Path) -> None:
    generator = random.Random(7)
    lines = [b'{"text":"%d %s"}\n' % (n, generator.randbytes(200).hex().encode()) for n in range(4000)]
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(b"".join(lines)))
    middle = len(data) // 2
    data[middle : middle + 50] = b"\xff" * 50
    (tmp_path / "x.jsonl.zst").write_bytes(data)
    texts, _, damage = read(tmp_path / "x.jsonl.zst")
    assert damage is not None
    assert damage.startswith(("corrupt zstd", "truncated zstd"))
    sound = 4000 // 2 - 2 * (128 << 10) // len(lines[0])  # a wrong literal shows in the frame's checksum only
    assert texts[:sound] == [msgspec.json.decode(line)["text"] for line in lines[:sound]]


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".txt.gz", ".txt.zst", ".json.gz"])
def test_not_compressed_at_all(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_bytes(b"<html>404 Not Found</html>\n")
    texts, rejected, damage = read(tmp_path / f"x{suffix}")
    assert (texts, rejected) == ([], [])
    assert damage is not None
    assert damage.startswith("not gzip" if suffix.endswith("gz") else "not zstd")


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_rubbish_after_the_end(tmp_path: Path, suffix: str) -> None:
    data = gzip_members(25)[0] if suffix.endswith("gz") else zstd_frames(25)[0]
    (tmp_path / f"x{suffix}").write_bytes(data + b"rubbish")
    texts, _, damage = read(tmp_path / f"x{suffix}")
    assert texts == TEXTS
    assert damage is not None


def test_zero_padding_after_gzip_is_legal(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(gzip_members(25)[0] + b"\0" * 512)
    assert read(tmp_path / "x.jsonl.gz") == (TEXTS, [], None)


class OnlyForward(io.BytesIO):
    """As the stream of a server that doesn't tell a file's size."""

    def seek(self, position: int, whence: int = 0) -> int:  # noqa: ARG002
        raise ValueError("can't seek")


@pytest.mark.parametrize(
    ("decompress", "compress"), [(gunzip, gzip.compress), (unxz, lzma.compress), (bunzip2, bz2.compress)]
)
def test_zero_padding_is_legal_in_a_stream(
    decompress: Callable[[Source], Iterator[bytes]], compress: Callable[[bytes], bytes]
) -> None:
    data = compress(b"uno") + b"\0" * 512 + compress(b" dos") + b"\0" * 8
    assert b"".join(decompress(Source(OnlyForward(data), "x"))) == b"uno dos"


def test_the_damage_says_what_was_dropped(tmp_path: Path) -> None:
    data = zlib.compressobj(wbits=31)
    cut = data.compress(b'{"text":"a"}\n{"text":"half') + data.flush(zlib.Z_SYNC_FLUSH)
    (tmp_path / "x.jsonl.gz").write_bytes(cut)
    texts, rejected, damage = read(tmp_path / "x.jsonl.gz")
    assert (texts, rejected) == (["a"], [])
    assert damage == (
        f"truncated gzip: ends at byte {len(cut)}, inside a member; 13 bytes of an incomplete last line dropped"
    )


def test_a_file_that_shrank_after_it_was_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join(LINES))
    (item,) = work_items([str(path)])
    path.write_bytes(b"".join(LINES[:3]))
    texts, _, damage = read_item(item)
    assert texts == TEXTS[:3]
    assert damage is not None
    assert "when it was listed" in damage


def test_a_file_that_is_gone_or_locked_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join(LINES))
    (item,) = work_items([str(path)])
    path.unlink()
    with pytest.raises(TamizError, match=r"can't read .*x\.jsonl: No such file"):
        list(read_batches(item))


def parquet_file(path: Path) -> bytes:
    pq.write_table(pa.table({"text": TEXTS}), path, row_group_size=10, write_page_checksum=True, use_dictionary=False)
    return path.read_bytes()


def test_truncated_parquet_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    data = parquet_file(path)
    for length in {1, 3, 4, 7, 100, len(data) // 2, len(data) - 8, len(data) - 1}:
        path.write_bytes(data[:length])
        texts, rejected, damage = read(path)
        assert (texts, rejected) == ([], [])
        assert damage is not None
        assert damage.startswith("bad parquet in its footer")


def test_a_wrong_byte_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    data = parquet_file(path)
    column = pq.read_metadata(path).row_group(2).column(0)
    place = column.data_page_offset + column.total_compressed_size - 50
    path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
    texts, _, damage = read(path)
    assert texts == TEXTS[:20]
    assert damage is not None
    assert damage.startswith("bad parquet in row group 2: ")
