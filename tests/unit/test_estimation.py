"""Large texts, estimated by compiled code: the bytes that numpy's estimator writes, and lmplz's where it is found."""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import kenlm
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.lm_train import Kenlm
from benchmarks.random_corpora import ours, random_corpus, theirs
from corpora.errors import BadArgument, TamizError
from corpora.perplexity import train_lm as train_module
from corpora.perplexity.estimation.arpa_sections import _probabilities
from corpora.perplexity.estimation.estimator import write_model
from corpora.perplexity.estimation.model_file import ModelFile
from corpora.perplexity.estimation.scratch import Scratch
from corpora.perplexity.estimation.vocabulary import vocabulary_of
from corpora.perplexity.kenlm_binary import write_kenlm_binary
from corpora.perplexity.kneser_ney import estimate
from corpora.perplexity.lm_header import MIDDLE_ENTRY, num_buckets
from corpora.perplexity.ngram_counts import count_ngrams, counts_of_counts, sort_text
from corpora.perplexity.pieces import load_tokenizer
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from tests.invented import document, sentences
from tests.unit.test_kneser_ney import Sentences, numbered

SMALL, LARGE = 1 << 60, 0  # inputs of fewer bytes are small


@pytest.fixture(scope="module")
def programs() -> Kenlm:
    """lmplz and build_binary, of the folder TAMIZ_LMPLZ_BIN or on PATH."""
    folder = os.environ.get("TAMIZ_LMPLZ_BIN")
    if not (shutil.which("lmplz", path=folder) and shutil.which("build_binary", path=folder)):
        pytest.skip("no lmplz and build_binary on PATH or in TAMIZ_LMPLZ_BIN")
    return Kenlm.find(folder)


@pytest.fixture(scope="module")
def real_lines(es_shards: list[Path]) -> list[str]:
    """3,000 lines of real Spanish."""
    with zstandard.open(es_shards[0], "rt", encoding="utf-8", newline="\n") as file:
        texts = (json.loads(line)["text"] for line in file)
        lines = (line for text in texts for line in text.split("\n") if line.strip())
        return list(itertools.islice(lines, 3000))


def trained(lines: Iterable[str], out: Path, small_below: int, **chosen: object) -> dict[str, object]:
    """What LM.json says of a model trained on `lines`, as a small or a large input."""
    with mock.patch.object(train_module, "SMALL_INPUT", small_below):
        return train_lm(lines, out, settings=LmSettings(**chosen))  # type: ignore[arg-type]


def numbers_of(lines: Sentences) -> tuple[np.ndarray, list[str]]:
    """As `numbered`, of 16 bits where they fit."""
    ids, words = numbered(lines, np.uint32)
    return (ids.astype(np.uint16) if len(words) <= 1 << 16 else ids), words


def compiled(lines: Sentences, out: Path, order: int, prune: tuple[int, ...] | None = None, **how: int) -> bytes:
    """The file of the compiled estimator. how: memory (bytes), threads."""
    ids, words = numbers_of(lines)
    text = np.concatenate([np.ones(order, ids.dtype), ids, np.ones(1, ids.dtype)])
    vocabulary = vocabulary_of([word.encode() for word in words])
    with Scratch(out, how.get("memory", 1 << 30)) as memory:
        write_model(out, text, vocabulary, order, prune, memory, threads=how.get("threads", 2))
    return out.read_bytes()


def plain(lines: Sentences, out: Path, order: int, prune: tuple[int, ...] | None = None) -> bytes:
    """The file of the numpy estimator."""
    ids, words = numbers_of(lines)
    write_kenlm_binary(out, estimate(ids, order, prune=prune), words)
    return out.read_bytes()


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("prune", [None, (0, 0, 1), (1, 1, 2)])
def test_equal_to_numpy_on_invented_text(tmp_path: Path, order: int, prune: tuple[int, ...] | None) -> None:
    lines = sentences(400, words=120, seed=order)
    prune = prune and prune[:order]
    assert compiled(lines, tmp_path / "a.bin", order, prune) == plain(lines, tmp_path / "b.bin", order, prune)


@pytest.mark.parametrize(("order", "prune"), [(3, None), (5, None), (5, (0, 0, 1)), (4, (2, 2, 3))])
def test_equal_to_numpy_on_real_words(
    tmp_path: Path, real_lines: list[str], order: int, prune: tuple[int, ...] | None
) -> None:
    """The file, and the ARPA file, too."""
    for name, size in (("small", SMALL), ("large", LARGE)):
        chosen = {"words": True, "order": order, "prune": prune, "arpa": str(tmp_path / f"{name}.arpa")}
        trained(real_lines, tmp_path / f"{name}.bin", size, **chosen)
    for kind in ("bin", "arpa"):
        assert (tmp_path / f"small.{kind}").read_bytes() == (tmp_path / f"large.{kind}").read_bytes()


def test_equal_to_numpy_on_real_pieces(tmp_path: Path, real_lines: list[str], lm: Path) -> None:
    """A tokenizer of 600 pieces knows few characters: many pieces here are unknown to it."""
    tokenizer = str(lm.with_suffix(".spiece.model"))
    lines = [*real_lines[:1500], "", "  ", "日本語 ñandú 日本 語 日本語"]
    small, large = (
        trained(lines, tmp_path / f"{size}.bin", size, tokenizer=tokenizer, order=4) for size in (SMALL, LARGE)
    )
    assert small == large
    assert small["blank_lines"] == 2
    assert (tmp_path / f"{SMALL}.bin").read_bytes() == (tmp_path / f"{LARGE}.bin").read_bytes()


def test_a_tokenizer_is_trained_for_a_large_text_as_for_a_small_one(tmp_path: Path) -> None:
    texts = [document(number) for number in range(300)]
    made = [trained(texts, tmp_path / f"{size}.bin", size, train_tokenizer=200, order=3) for size in (SMALL, LARGE)]
    assert made[0] == made[1]
    assert made[0]["blank_lines"]


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(st.lists(st.sampled_from("abcdeé"), min_size=1, max_size=6), min_size=1, max_size=25),
    order=st.integers(2, 6),
    prune=st.sampled_from([None, (0, 1), (0, 0, 1), (1,), (1, 2)]),
    threads=st.integers(1, 3),
)
def test_equal_to_numpy_on_any_text(
    tmp_path_factory: pytest.TempPathFactory,
    lines: Sentences,
    order: int,
    prune: tuple[int, ...] | None,
    threads: int,
) -> None:
    """Equal files, or both refuse in the same words."""
    folder = tmp_path_factory.mktemp("any")
    found: list[bytes | str] = []
    for write in (plain, lambda *given: compiled(*given, threads=threads)):
        try:
            found.append(write(lines, folder / "lm.bin", order, prune))
        except BadArgument as refused:
            found.append(str(refused))
    assert found[0] == found[1]


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_change_nothing(tmp_path: Path, threads: int) -> None:
    lines = sentences(400, words=100)
    assert compiled(lines, tmp_path / "a.bin", 4, threads=threads) == compiled(
        lines, tmp_path / "b.bin", 4, threads=1
    )


def test_ids_of_32_bits(tmp_path: Path) -> None:
    """More than 65,536 words."""
    draw = np.random.default_rng(0)
    lines = [[f"w{word}" for word in line] for line in draw.integers(0, 90_000, (20_000, 6)).tolist()]
    assert compiled(lines, tmp_path / "a.bin", 3) == plain(lines, tmp_path / "b.bin", 3)


# Against lmplz and build_binary


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(("order", "prune"), [(3, None), (5, None), (5, (0, 0, 1))])
def test_equal_to_lmplz_on_real_words(
    tmp_path: Path, programs: Kenlm, real_lines: list[str], size: int, order: int, prune: tuple[int, ...] | None
) -> None:
    chosen = LmSettings(words=True, order=order, prune=prune)
    assert ours(real_lines, chosen, tmp_path / "ours.bin", size) == theirs(programs, real_lines, chosen, tmp_path)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_equal_to_lmplz_on_real_pieces(
    tmp_path: Path, programs: Kenlm, real_lines: list[str], lm: Path, size: int
) -> None:
    processor = load_tokenizer(lm.with_suffix(".spiece.model"))
    lines = [" ".join(pieces) for pieces in processor.encode(real_lines, out_type=str)]
    chosen = LmSettings(words=True, order=5)
    assert ours(lines, chosen, tmp_path / "ours.bin", size) == theirs(programs, lines, chosen, tmp_path)


@pytest.mark.parametrize("seed", range(0, 500, 12))
def test_equal_to_lmplz_on_random_corpora(tmp_path: Path, programs: Kenlm, seed: int) -> None:
    """Or both refuse. All 500: `python -m benchmarks.lm_train --random 500`."""
    lines, chosen = random_corpus(seed)
    expected = theirs(programs, lines, chosen, tmp_path)
    assert [ours(lines, chosen, tmp_path / "ours.bin", size) for size in (SMALL, LARGE)] == [expected, expected]


# Traps


def test_the_last_ngram_counts_as_often_as_it_occurs(tmp_path: Path) -> None:
    """lmplz's slip: the last n-gram of a lower order is among the counts with its occurrences, not its left words."""
    lines = [*sentences(300, words=60), *[["once", "more", "zz"]] * 3]  # `zz` after one word, three times
    ids, _ = numbered(lines)
    text = sort_text(ids, 3)
    unigrams = count_ngrams(text, 1)
    assert (unigrams.adjusted[-1], unigrams.occurrences[-1]) == (1, 3)
    found = counts_of_counts(text, unigrams, 1)
    naive = [int(np.count_nonzero(unigrams.adjusted == count)) for count in range(5)]
    assert [a - b for a, b in zip(found, naive, strict=True)] == [0, -1, 0, 1, 0]
    assert compiled(lines, tmp_path / "a.bin", 3) == plain(lines, tmp_path / "b.bin", 3)


def test_backoffs_of_zero_have_both_signs(tmp_path: Path) -> None:
    """-0.0: no context of a kept n-gram. +0.0: a context whose discounts take exactly what it counts."""
    lines = [["a", "b", word] for word in ("x", "y", "z")] + [["c", "d", "d"]] * 2 + [["b"]]
    out = tmp_path / "a.bin"
    data = compiled(lines, out, 3)
    assert data == plain(lines, tmp_path / "b.bin", 3)
    counts = estimate(numbered(lines)[0], 3).counts
    start = ModelFile(counts, 0)._tables[0]
    table = np.frombuffer(data, MIDDLE_ENTRY, num_buckets(counts[1], 1.5), start)
    backoffs = table["backoff"][(table["key"] != 0) & (table["backoff"] == 0)]
    assert set(np.signbit(backoffs).tolist()) == {False, True}


def test_log10_is_that_of_libm() -> None:
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    libm.log10f.restype, libm.log10f.argtypes = ctypes.c_float, [ctypes.c_float]
    values = np.random.default_rng(1).uniform(1e-8, 1, 50_000).astype(np.float32)
    found = _probabilities(values, np.arange(len(values)))
    assert found.tolist() == [libm.log10f(value) for value in values.tolist()]


def test_buckets_are_counted_in_float32() -> None:
    assert num_buckets(20_041_849, 1.5) == 30_062_772 != int(1.5 * 20_041_849)


def test_pruned_words_renumber_the_others(tmp_path: Path) -> None:
    """Keys of n-grams are of the new ids: kenlm finds every kept n-gram."""
    lines = [["rare", "one"], *sentences(300, words=80), ["rare", "two"]]
    assert compiled(lines, tmp_path / "a.bin", 3, (2, 2, 2)) == plain(lines, tmp_path / "b.bin", 3, (2, 2, 2))
    model = kenlm.Model(str(tmp_path / "a.bin"))
    assert "rare" not in model
    assert any(length == 3 for _, length, _ in model.full_scores(" ".join(lines[1])))


def test_a_sentence_end_is_never_pruned(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=r"below the number of sentences \(5\)"):
        compiled(sentences(5), tmp_path / "a.bin", 2, (5,))
    assert not list(tmp_path.iterdir())


def test_discounts_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="too little text for 1-grams"):
        compiled(sentences(2, words=2, seed=26), tmp_path / "a.bin", 2)
    assert not list(tmp_path.iterdir())


# Memory


def test_spilled_arrays_change_nothing(tmp_path: Path) -> None:
    """No array fits into so little memory, but every table does (each is filled in one part below 1 MiB)."""
    lines = sentences(1000, words=300)
    with mock.patch("corpora.perplexity.estimation.scratch.np.empty", side_effect=AssertionError("in memory")):
        spilled = compiled(lines, tmp_path / "a.bin", 4, (0, 0, 1), memory=1)
    assert spilled == compiled(lines, tmp_path / "b.bin", 4, (0, 0, 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


@pytest.mark.parametrize("bytes_of_a_part", [16, 1 << 7, 1 << 12, 1 << 16])
@pytest.mark.parametrize("prune", [None, (0, 0, 1)])
def test_tables_filled_in_parts_are_the_same(
    tmp_path: Path, prune: tuple[int, ...] | None, bytes_of_a_part: int
) -> None:
    """Parts down to one bucket, where nearly all is carried on, round the end and further."""
    lines = sentences(60 if bytes_of_a_part < 100 else 1000, words=200)
    with mock.patch("corpora.perplexity.estimation.estimator.LEAST_PART", bytes_of_a_part):
        parts = compiled(lines, tmp_path / "parts.bin", 4, prune, memory=1)
    assert parts == compiled(lines, tmp_path / "whole.bin", 4, prune)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a page of it is used: a mapped page without a block would end the process."""

    def fail(_descriptor: int, _start: int, _size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    full = r"No space left on device: needs [\d,]+ bytes, [\d,]+ free in \S+"
    with pytest.raises(TamizError, match=rf"can't write a temporary file beside \S+/lm.bin: {full}; free some"):
        compiled(sentences(50), tmp_path / "lm.bin", 3, memory=1)
    with pytest.raises(TamizError, match=rf"can't write \S+/lm.bin: {full}$"):
        compiled(sentences(50), tmp_path / "lm.bin", 3)
    assert not list(tmp_path.iterdir())
