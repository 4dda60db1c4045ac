"""KenLM files of every type are known by their exact size and vocabulary; whatever else is refused in a line.

tests/golden/kenlm holds what KenLM 0.3.0's build_binary wrote for arpa.arpa (14 invented sentences, order 4):
probing (-v: without words, -p 3), rest_probing (-r "1.arpa 2.arpa 3.arpa"), trie (-v), quant_trie (-q 4 -b 3),
array_trie (-a 22), quant_array_trie (-q 3 -b 5 -a 2).
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import struct
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.errors import DamagedFile
from corpora.perplexity.arpa import write_arpa
from corpora.perplexity.kneser_ney import estimate
from corpora.perplexity.lm_contents import LmFile
from corpora.perplexity.lm_header import check_lm, pack_header
from corpora.perplexity.lm_sizes import TrieBits, num_buckets, probing_layout, trie_bytes
from tests.invented import sentences
from tests.unit.test_kneser_ney import numbered

FILES = {p.stem: p for p in sorted((Path(__file__).parents[1] / "golden" / "kenlm").iterdir())}
BINARIES = {name: path for name, path in FILES.items() if name != "arpa"}
ORDER, COUNTS = 88, 88 + 20
WRONG_COUNTS = [0, 1, 1 << 20, (1 << 31) - 1, 1 << 32, 1 << 57, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


@pytest.mark.parametrize("name", FILES)
def test_every_type_is_known(name: str) -> None:
    header = check_lm(FILES[name])
    assert header.type == name.partition("-")[0]
    assert (header.order, header.counts) == (4, (15, 52, 73, 68))
    assert header.size == FILES[name].stat().st_size
    assert header.has_vocabulary == (name in BINARIES and not name.endswith("-v"))
    assert header.num_words == (15 if name in BINARIES else 0)
    assert header.multiplier == (3 if name == "probing-p3" else 1.5)
    assert (header.layout is not None) == ("probing" in name)


def test_where_the_tables_lie() -> None:
    layout = check_lm(FILES["probing"]).layout
    assert layout is not None
    tables = [layout.vocabulary, layout.unigrams, *layout.ngrams]
    assert [(t.cells, t.entry.itemsize) for t in tables] == [(22, 12), (16, 8), (78, 16), (109, 16), (102, 12)]
    assert layout.vocabulary.offset == len(pack_header((1, 2, 3, 4))) + 8
    assert all(a.end == b.offset for a, b in itertools.pairwise(tables))
    assert FILES["probing"].read_bytes()[layout.end :].startswith(b"<unk>\0<s>\0")
    assert layout.end == FILES["probing-v"].stat().st_size


# sizes of files that `build_binary -v trie` wrote, with -q, -b and -a
REAL_TRIES = [
    ((3066, 26164), TrieBits(array=0), 214397),
    ((3099, 25800, 43134, 43526, 38647, 33785), TrieBits(array=0), 1975197),
    ((3066, 5321), TrieBits(array=22), 102366),
    ((323, 2350, 3597), TrieBits(array=22), 49328),
    ((3087, 26824, 44140), TrieBits(array=64), 588677),
    ((331, 2470, 3688, 3514, 3113), TrieBits(array=64), 119343),
    ((3087, 5401, 2845), TrieBits(array=3), 146362),
    ((3124, 26363, 43480, 42962), TrieBits(array=3), 1074532),
    ((331, 2470, 3688, 3514, 3113), TrieBits(array=3), 121920),
    ((3066, 5321), TrieBits(3, 2, True, 64), 83779),
    ((323, 2350, 3597), TrieBits(3, 2, True, 64), 19778),
    ((3099, 5236, 3059, 938, 576, 561), TrieBits(3, 2, True, 64), 104103),
    ((3124, 26363, 43480, 42962), TrieBits(4, 6, True), 493586),
    ((299, 2189, 3372, 3265, 2875, 2499), TrieBits(4, 6, True), 58190),
    ((3087, 5401, 2845), TrieBits(8, 8, True, 22), 107486),
    ((317, 2383, 3645, 3496), TrieBits(8, 8, True, 22), 44653),
    ((3099, 25800, 43134, 43526, 38647, 33785), TrieBits(8, 8, True, 22), 829268),
    ((3066, 5321), TrieBits(), 102366),
    ((3087, 26824, 44140), TrieBits(), 616673),
]


@pytest.mark.parametrize(("counts", "bits", "size"), REAL_TRIES)
def test_sizes_of_larger_tries(counts: tuple[int, ...], bits: TrieBits, size: int) -> None:
    assert len(pack_header(counts)) + trie_bytes(counts, bits) == size


BUILDS = {
    "probing": ["probing"],
    "probing of 1.3": ["-p", "1.3", "probing"],
    "trie": ["trie"],
    "quantised": ["-q", "8", "trie"],
    "quantised apart": ["-q", "4", "-b", "6", "trie"],
    "arrays": ["-a", "22", "trie"],
    "arrays of all bits": ["-a", "64", "trie"],
    "no bits in arrays": ["-a", "0", "trie"],
    "quantised arrays": ["-q", "3", "-b", "2", "-a", "64", "trie"],
}


@pytest.mark.skipif(not shutil.which("build_binary"), reason="no build_binary on PATH")
@pytest.mark.parametrize("build", BUILDS)
def test_whatever_build_binary_writes_is_accepted(tmp_path: Path, build: str) -> None:
    """Of several sizes and orders, with and without words, and where the ARPA file has no <unk>."""
    for number, order in itertools.product((1, 40, 700), (2, 3, 5)):
        ids, words = numbered(sentences(number, words=number * 2, seed=order))
        write_arpa(tmp_path / "arpa", estimate(ids, order), words)
        lines = (
            (tmp_path / "arpa").read_bytes().replace(b"ngram 1=%d\n" % len(words), b"ngram 1=%d\n" % (len(words) - 1))
        )
        (tmp_path / "no unk").write_bytes(b"".join(li for li in lines.splitlines(True) if b"\t<unk>" not in li))
        for arpa, without in itertools.product(("arpa", "no unk"), ([], ["-v"])):
            files = [str(tmp_path / name) for name in (arpa, "binary")]
            command = ["build_binary", "-S", "50M", *without, *BUILDS[build], *files]
            subprocess.run(command, check=True, capture_output=True)
            header = check_lm(tmp_path / "binary")
            assert (header.order, header.has_vocabulary) == (order, not without)


def _leave_unk_out(arpa: Path, out: Path) -> None:
    lines = arpa.read_bytes().splitlines(keepends=True)
    words = int(lines[1].removeprefix(b"ngram 1="))
    lines[1] = b"ngram 1=%d\n" % (words - 1)
    out.write_bytes(b"".join(line for line in lines if b"\t<unk>" not in line))


@pytest.mark.parametrize("name", BINARIES)
def test_a_shorter_or_longer_file_is_refused(tmp_path: Path, name: str) -> None:
    content = BINARIES[name].read_bytes()
    path = tmp_path / "damaged.bin"
    ends = [content[:length] for length in range(0, len(content), 7)]
    for damaged in (*ends, content[:-1], content + b"\0", content + b"x", content + b"more\0", content * 2):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFile, match=r"damaged\.bin") as raised:
            check_lm(path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", BINARIES)
@pytest.mark.parametrize("place", range(4))
def test_wrong_counts_are_refused(tmp_path: Path, name: str, place: int) -> None:
    content = bytearray(BINARIES[name].read_bytes())
    path = tmp_path / "damaged.bin"
    for count in WRONG_COUNTS:
        struct.pack_into("<Q", content, COUNTS + 8 * place, count)
        path.write_bytes(content)
        with pytest.raises(DamagedFile, match=r"damaged\.bin: .*(counts|found|expected|truncated)"):
            check_lm(path)


def test_large_counts_neither_overflow_nor_allocate() -> None:
    huge = (1 << 63,) * 6
    assert trie_bytes(huge, TrieBits(25, 25, True, 255)) > 1 << 66
    assert probing_layout(0, huge, 99.0, rest=True).end > 1 << 70
    assert num_buckets(1 << 63, 1.5) == 3 << 62
    assert num_buckets(0, 1.5) == 1  # the free cell


def test_a_word_id_beyond_the_words_is_refused(tmp_path: Path) -> None:
    content = bytearray(FILES["probing"].read_bytes())
    table = check_lm(FILES["probing"]).layout.vocabulary  # type: ignore[union-attr]
    cell = next(c for c in range(table.cells) if any(content[table.offset + 12 * c : table.offset + 12 * c + 8]))
    for word, fits in ((14, True), (15, False), ((1 << 32) - 1, False)):
        struct.pack_into("<I", content, table.offset + 12 * cell + 8, word)
        (tmp_path / "damaged.bin").write_bytes(content)
        if fits:
            check_lm(tmp_path / "damaged.bin")
        else:
            with pytest.raises(DamagedFile, match=f"largest id {word}: expected .* an id below 15"):
                check_lm(tmp_path / "damaged.bin")


def test_a_sparse_file_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terabyte of zeros whose size is right: seen in its first block, in little memory."""
    lengths: list[int] = []
    read = LmFile.read

    def counted(file: LmFile, offset: int, length: int, what: str) -> bytes:
        lengths.append(length)
        return read(file, offset, length, what)

    monkeypatch.setattr(LmFile, "read", counted)
    counts = (1 << 31, 1 << 33)
    layout = probing_layout(len(pack_header(counts)), counts, 1.5, rest=False)
    path = tmp_path / "sparse.bin"
    with open(path, "wb") as file:
        file.write(pack_header(counts) + struct.pack("<II", 0, counts[0]))
        file.seek(layout.end)
        file.write(b"<unk>\0")
        file.truncate(layout.end + (1 << 40))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFile, match="damaged vocabulary: 0 of"):
            check_lm(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
        assert sum(lengths) < 16 << 20
    finally:
        tracemalloc.stop()


def test_words_of_a_sparse_file(tmp_path: Path) -> None:
    content = bytearray(BINARIES["trie"].read_bytes())
    path = tmp_path / "sparse.bin"
    path.write_bytes(content)
    os.truncate(path, 1 << 40)
    with pytest.raises(DamagedFile, match="found an empty word"):
        check_lm(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DamagedFile, match="not a regular file"):
        check_lm(tmp_path / "pipe")
    with pytest.raises(OSError):
        check_lm(tmp_path)
    with pytest.raises(FileNotFoundError):
        check_lm(tmp_path / "absent")


HEADER_DAMAGES: dict[str, tuple[int, bytes, str]] = {
    "interrupted": (0, b"mmap lm http://kheafield.com/code incomplete\n", "interrupted"),
    "order": (ORDER, b"\x07", "order 7"),
    "type": (ORDER + 8, struct.pack("<i", 6), "model type 6"),
    "negative type": (ORDER + 8, struct.pack("<i", -1), "model type -1"),
    "multiplier": (ORDER + 4, struct.pack("<f", float("inf")), "multiplier inf"),
    "vocabulary flag": (ORDER + 12, b"\x02", "vocabulary flag 2"),
    "search version": (ORDER + 16, struct.pack("<I", 9), "search version 9"),
}


@pytest.mark.parametrize("damage", HEADER_DAMAGES)
@pytest.mark.parametrize("name", BINARIES)
def test_a_damaged_header_is_refused(tmp_path: Path, name: str, damage: str) -> None:
    offset, data, match = HEADER_DAMAGES[damage]
    content = bytearray(BINARIES[name].read_bytes())
    content[offset : offset + len(data)] = data
    (tmp_path / "damaged.bin").write_bytes(content)
    with pytest.raises(DamagedFile, match=match):
        check_lm(tmp_path / "damaged.bin")


@pytest.mark.parametrize("kind", [b"\0", b"\1", b"\2", b"\3", b"\4", b"\5"])
def test_a_file_is_not_taken_for_another_type(tmp_path: Path, kind: bytes) -> None:
    for name, path in BINARIES.items():
        content = bytearray(path.read_bytes())
        if content[ORDER + 8 : ORDER + 9] == kind:
            continue
        content[ORDER + 8 : ORDER + 9] = kind
        (tmp_path / f"{name}.bin").write_bytes(content)
        with pytest.raises(DamagedFile):
            check_lm(tmp_path / f"{name}.bin")


ARPA_DAMAGES: dict[str, tuple[bytes, str]] = {
    "too large a count": (b"\\data\\\nngram 1=5\nngram 2=99999999999\n\n", "need"),
    "a count of thousands of digits": (b"\\data\\\nngram 1=5\nngram 2=" + b"9" * 60_000 + b"\n\n", "bad ARPA header"),
    "no count": (b"\\data\\\nngram 1=\n\n", "bad ARPA header"),
    "negative count": (b"\\data\\\nngram 1=-1\n\n", "bad ARPA header"),
    "order left out": (b"\\data\\\nngram 1=5\nngram 3=5\n\n", "expected 'ngram 2=COUNT'"),
    "order 1": (b"\\data\\\nngram 1=0\n\n", "order 1"),
    "order 7": (b"\\data\\\n" + b"".join(b"ngram %d=0\n" % n for n in range(1, 8)), "order 7"),
    "endless head": (b"#" * (1 << 20), "order 0"),
}


@pytest.mark.parametrize("damage", ARPA_DAMAGES)
def test_a_damaged_arpa_header_is_refused(tmp_path: Path, damage: str) -> None:
    content, match = ARPA_DAMAGES[damage]
    (tmp_path / "damaged.arpa").write_bytes(content)
    with pytest.raises(DamagedFile, match=match) as raised:
        check_lm(tmp_path / "damaged.arpa")
    assert len(str(raised.value)) < 400


def test_an_arpa_file_may_begin_with_comments(tmp_path: Path) -> None:
    """As KenLM takes it."""
    (tmp_path / "a.arpa").write_bytes(b"# a model\n\n" + FILES["arpa"].read_bytes())
    (tmp_path / "b.arpa").write_bytes(b"\n" + FILES["arpa"].read_bytes().replace(b"\n", b"\r\n"))
    assert check_lm(tmp_path / "a.arpa").counts == check_lm(tmp_path / "b.arpa").counts == (15, 52, 73, 68)


@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_any_damage_is_refused_or_accepted(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    content = bytearray(FILES[name].read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.bin"
    size = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:size] + data.draw(st.binary(max_size=40)))
    assert _accepted(path) or path.read_bytes() != FILES[name].read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_damage_by_the_hundred(tmp_path: Path, name: str) -> None:
    """Most of it in the header, whose every bit matters: accepted files have the size that their header says."""
    draw = random.Random(name)
    original = FILES[name].read_bytes()
    accepted = 0
    for _ in range(300):
        content = bytearray(original)
        for _ in range(draw.randint(1, 3)):
            place = draw.choice([draw.randrange(len(content)), draw.randrange(ORDER, COUNTS + 40)])
            content[place] ^= 1 << draw.randrange(8)
        (tmp_path / "changed.bin").write_bytes(content)
        accepted += _accepted(tmp_path / "changed.bin")
    assert accepted < 200 or name == "arpa"  # a change among probabilities, or past an ARPA header, shows nowhere


def _accepted(path: Path) -> bool:
    """Whether `check_lm` lets the file pass: then all that it says lies in the file."""
    try:
        header = check_lm(path)
    except DamagedFile:
        return False
    assert header.size == path.stat().st_size
    if header.layout is not None:
        assert header.layout.end <= header.size
        assert header.num_words <= header.layout.unigrams.cells
    return True
