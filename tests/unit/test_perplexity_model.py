"""Training a language model and scoring with it: the figures of a plain loop, in every mode, and what is refused."""

from __future__ import annotations

import itertools
import json
import math
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kenlm
import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
import zstandard

from corpora.errors import BadArgument, DamagedFile, TamizError
from corpora.perplexity import PerplexityModel
from corpora.perplexity.lm_manifest import recorded_sha256
from corpora.perplexity.settings import LmSettings, parse_size
from corpora.perplexity.train_lm import train_lm
from tests.reference import kenlm_loop
from tests.small_models import ODD, SETTINGS, TEXTS, train_models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of lines.bin, ccnet.bin and bertin.bin."""
    return train_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Path:
    """lines.bin in a folder of its own, to be damaged."""
    for path in models.glob("lines*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / "lines.bin"


@pytest.fixture(scope="module")
def real_texts(es_shards: list[Path]) -> list[str]:
    """Every document of a part of a real shard."""
    with zstandard.open(es_shards[1], "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line)["text"] for line in itertools.islice(file, 300)]


def plain_loop(lm: Path, mode: str, text: str) -> tuple[float, int]:
    """The definition, line by line."""
    return kenlm_loop.perplexity(*_loaded(lm, mode), mode, text)


_cache: dict[Path, tuple[Any, Any]] = {}


def _loaded(lm: Path, mode: str) -> tuple[Any, Any]:
    if lm not in _cache:
        processor = None
        if mode != "bertin":
            processor = sentencepiece.SentencePieceProcessor(model_file=str(lm.with_suffix(".spiece.model")))
        _cache[lm] = kenlm.Model(str(lm)), processor
    return _cache[lm]


@pytest.mark.parametrize("mode", SETTINGS)
def test_scores_are_those_of_the_plain_loop(models: Path, mode: str) -> None:
    lm, texts = models / f"{mode}.bin", [*TEXTS[:60], *ODD]
    perplexity, num_tokens = PerplexityModel(lm).score_with_lengths(texts)
    found = list(zip(perplexity.tolist(), num_tokens.tolist(), strict=True))
    assert repr(found) == repr([plain_loop(lm, mode, text) for text in texts])  # NaN differs from itself
    assert (perplexity.dtype, num_tokens.dtype) == (np.float64, np.int64)


@pytest.mark.parametrize("mode", SETTINGS)
def test_scores_of_real_documents(models: Path, real_texts: list[str], mode: str) -> None:
    lm = models / f"{mode}.bin"
    assert PerplexityModel(lm).score(real_texts).tolist() == [plain_loop(lm, mode, t)[0] for t in real_texts]


def test_arrow_gives_what_lists_give(models: Path) -> None:
    model, texts = PerplexityModel(models / "lines.bin"), [*TEXTS[:1500], None, ""] * 4
    expected, lengths = model.score_with_lengths(texts)
    assert math.isnan(expected[400])
    assert lengths[400] == 0
    for array in (
        pa.array(texts),
        pa.array(texts, pa.large_string()),
        pa.chunked_array([texts[:7], [], texts[7:]], pa.string()),
        pa.array([None, *texts])[1:],
    ):
        assert np.array_equal(model.score(array), expected, equal_nan=True)
    assert model.score([]).shape == (0,)
    assert np.isnan(model.score(pa.nulls(2))).all()


def test_other_things_than_strings_are_refused(models: Path) -> None:
    model = PerplexityModel(models / "lines.bin")
    with pytest.raises(BadArgument, match="text 1 is bytes"):
        model.score(["a", b"b"])
    with pytest.raises(BadArgument, match="int64"):
        model.score(pa.array([1]))


def test_a_pickled_model_and_many_threads_score_alike(models: Path) -> None:
    model = PerplexityModel(models / "lines.bin")
    expected = model.score(TEXTS)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).score(TEXTS), expected)
    with ThreadPoolExecutor(4) as threads:
        assert all(np.array_equal(found, expected) for found in threads.map(model.score, [TEXTS] * 8))


def test_a_model_says_what_it_is(models: Path) -> None:
    path = str(models / "lines.bin")
    assert repr(PerplexityModel(path)) == f"PerplexityModel({path!r}, mode='lines', order=4)"


def test_ccnet_sees_one_line_and_lines_several(models: Path) -> None:
    ccnet, lines = PerplexityModel(models / "ccnet.bin"), PerplexityModel(models / "lines.bin")
    assert ccnet.score(["una\ncasa"]) == ccnet.score(["unacasa"])
    assert lines.score(["una\ncasa"]) != lines.score(["unacasa"])


def test_the_model_tells_good_text_from_shuffled(models: Path) -> None:
    model, draw = PerplexityModel(models / "lines.bin"), random.Random(0)
    shuffled = ["".join(draw.sample(text, len(text))) for text in TEXTS[:100]]
    assert np.median(model.score(shuffled)) > 2 * np.median(model.score(TEXTS[:100]))


@pytest.mark.parametrize("mode", SETTINGS)
def test_training_twice_gives_the_same_files(models: Path, tmp_path: Path, mode: str) -> None:
    described = train_lm(iter(TEXTS), tmp_path / f"{mode}.bin", settings=SETTINGS[mode])
    names = {p.name for p in models.glob(f"{mode}*") if p.suffix != ".sha256"}
    assert {p.name for p in tmp_path.iterdir()} == names
    assert all((tmp_path / name).read_bytes() == (models / name).read_bytes() for name in names)
    assert json.loads((tmp_path / f"{mode}.json").read_bytes())["lm_sha256"] == described["lm_sha256"]


def test_manifest_says_what_the_model_is(tmp_path: Path) -> None:
    described = train_lm(
        lambda: ["Uno dos\n\n \u0301\nTres", "", "uno dos"],
        tmp_path / "lm.bin",
        settings=LmSettings(order=2, words=True, arpa=str(tmp_path / "lm.arpa")),
        inputs=[{"name": "a.txt"}],
        extra=lambda: {"documents": 3},
    )
    on_disk = json.loads((tmp_path / "lm.json").read_bytes())
    del on_disk["checksum"]
    assert on_disk == json.loads(json.dumps(described))
    assert (on_disk["format"], on_disk["version"], on_disk["mode"]) == ("tamiz-lm", 2, "bertin")
    assert (on_disk["normaliser"], on_disk["tokenizer_sha256"]) == (None, None)
    assert (on_disk["sentences"], on_disk["blank_lines"]) == (4, 2)  # a lone accent is a word, where words are raw
    assert (on_disk["inputs"], on_disk["documents"], on_disk["counts"]) == ([{"name": "a.txt"}], 3, [8, 9])
    assert kenlm.Model(str(tmp_path / "lm.arpa")).score("uno dos") == kenlm.Model(str(tmp_path / "lm.bin")).score(
        "uno dos"
    )
    assert not (tmp_path / "lm.spiece.model").exists()


def test_blank_lines_are_never_sentences(models: Path, tmp_path: Path) -> None:
    settings = LmSettings(order=2, tokenizer=str(models / "lines.spiece.model"))
    with_blank = train_lm(["bace\n\n \n\u0301\n\u200b\nfogu"], tmp_path / "a.bin", settings=settings)
    without = train_lm(["bace\nfogu"], tmp_path / "b.bin", settings=settings)
    assert (with_blank["sentences"], with_blank["blank_lines"]) == (2, 4)
    assert with_blank["lm_sha256"] == without["lm_sha256"]


def test_raw_words_split_where_lmplz_splits(tmp_path: Path) -> None:
    train_lm(["a\0b\tc\rd  e\x0bf\u3000g"], tmp_path / "lm.bin", settings=LmSettings(order=2, words=True))
    model = kenlm.Model(str(tmp_path / "lm.bin"))
    assert [w in model for w in ["a", "b", "c", "d", "e\x0bf\u3000g", "e"]] == [True] * 5 + [False]


def test_a_given_tokenizer_is_kept_beside_the_model(models: Path, tmp_path: Path) -> None:
    tokenizer = models / "lines.spiece.model"
    train_lm(TEXTS, tmp_path / "lm.bin", settings=LmSettings(order=4, tokenizer=str(tokenizer)))
    assert (tmp_path / "lm.spiece.model").read_bytes() == tokenizer.read_bytes()
    assert (tmp_path / "lm.bin").read_bytes() == (models / "lines.bin").read_bytes()


def test_the_sample_for_the_tokenizer_is_keyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More text than the sample holds: part of it is taken, the same part each time."""
    monkeypatch.setattr("corpora.perplexity.lm_tokenizer.SAMPLE_BYTES", 20_000)
    settings = LmSettings(order=2, train_tokenizer=60)
    made = [train_lm(TEXTS, tmp_path / f"{n}.bin", settings=settings)["tokenizer_sha256"] for n in range(2)]
    monkeypatch.undo()
    assert made[0] == made[1] != train_lm(TEXTS, tmp_path / "2.bin", settings=settings)["tokenizer_sha256"]


def test_nothing_temporary_is_left(models: Path) -> None:
    assert not list(models.glob("*.tmp-*"))


REFUSED_TRAINING: dict[str, tuple[list[str], LmSettings, type[Exception], str]] = {
    "no sentence": (["", " \n "], LmSettings(words=True), BadArgument, "every line is blank"),
    "no sentence to cut": (["", " \n "], LmSettings(), BadArgument, "every line is blank"),
    "</s>": (["una </s> cosa"], LmSettings(words=True), TamizError, "'</s>'"),
    "alphabet": (["".join(map(chr, range(0x4E00, 0x4F00)))], LmSettings(train_tokenizer=8), BadArgument, "8 pieces"),
    "no tokenizer": (["a"], LmSettings(tokenizer="/nowhere"), BadArgument, "/nowhere: no such file"),
    "not a tokenizer": (["a"], LmSettings(tokenizer=__file__), DamagedFile, "not a SentencePiece model"),
}


@pytest.mark.parametrize("case", REFUSED_TRAINING)
def test_training_refuses(tmp_path: Path, case: str) -> None:
    texts, settings, kind, match = REFUSED_TRAINING[case]
    with pytest.raises(kind, match=match) as raised:
        train_lm(texts, tmp_path / "lm.bin", settings=settings)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "lm.json").exists()
    assert not list(tmp_path.glob("*.tmp-*"))


def test_training_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TamizError, match="can't write"):
        train_lm(["a b"], tmp_path / "file" / "lm.bin", settings=LmSettings())


@pytest.mark.parametrize(
    "settings",
    [
        {"order": 1},
        {"order": 7},
        {"prune": (1, 0)},
        {"prune": (0,) * 6},
        {"prune": (-1,)},
        {"words": True, "mode": "ccnet"},
        {"words": True, "tokenizer": "a"},
        {"tokenizer": "a", "train_tokenizer": 100},
        {"train_tokenizer": 2},
        {"memory": "much"},
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        LmSettings(**settings)


def test_sizes() -> None:
    assert [parse_size(s) for s in ("2G", "1.5gb", "300M", "7", "1k")] == [2 << 30, 3 << 29, 300 << 20, 7, 1024]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "model truncated": ("lines.bin", _truncate),
    "model of one other bit": ("lines.bin", _flip),
    "model of text": ("lines.bin", lambda path: path.write_text("hola")),
    "tokenizer truncated": ("lines.spiece.model", _truncate),
    "tokenizer of one other bit": ("lines.spiece.model", _flip),
    "manifest truncated": ("lines.json", lambda path: path.write_bytes(path.read_bytes()[:100])),
    "manifest of something else": ("lines.json", lambda path: path.write_text("{}")),
    "manifest of a later version": (
        "lines.json",
        lambda path: path.write_text(path.read_text().replace('"version": 2', '"version": 3')),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused(copied: Path, damage: str) -> None:
    name, do = DAMAGES[damage]
    do(copied.with_name(name))
    with pytest.raises(DamagedFile, match=name.replace(".", r"\.")) as raised:
        PerplexityModel(copied)
    assert "\n" not in str(raised.value)


def test_a_mismatch_is_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=r"'ccnet', but .* says 'lines'"):
        PerplexityModel(models / "lines.bin", mode="ccnet")
    with pytest.raises(BadArgument, match="raw words"):
        PerplexityModel(models / "bertin.bin", tokenizer=models / "lines.spiece.model")
    with pytest.raises(DamagedFile, match=r"ccnet\.spiece\.model"):
        PerplexityModel(models / "lines.bin", tokenizer=models / "ccnet.spiece.model")
    with pytest.raises(BadArgument, match="no such file"):
        PerplexityModel(tmp_path / "absent.bin")
    assert PerplexityModel(models / "lines.bin", mode="lines", tokenizer=models / "lines.spiece.model").order == 4


def test_a_model_from_elsewhere(copied: Path) -> None:
    copied.with_name("lines.json").unlink()
    tokenizer = copied.with_name("lines.spiece.model")
    for arguments, match in (
        ({}, "mode must be one of"),
        ({"mode": "lines"}, "needs the model's tokenizer"),
        ({"mode": "bertin", "tokenizer": tokenizer}, "takes no tokenizer"),
        ({"mode": "lines", "tokenizer": copied.with_name("absent")}, "no such file"),
    ):
        with pytest.raises(BadArgument, match=match):
            PerplexityModel(copied, **arguments)
    model = PerplexityModel(copied, tokenizer, "lines")
    assert model.score(TEXTS[:5]).tolist() == [plain_loop(copied, "lines", text)[0] for text in TEXTS[:5]]
    assert model.identity() == {"lm_sha256": recorded_sha256(copied), "tokenizer_sha256": recorded_sha256(tokenizer)}
    _flip(copied)
    with pytest.raises(DamagedFile, match="recorded at first use"):
        PerplexityModel(copied, tokenizer, "lines")


def test_an_arpa_file_is_read(tmp_path: Path) -> None:
    settings = LmSettings(order=3, words=True, arpa=str(tmp_path / "text.arpa"))
    train_lm(TEXTS, tmp_path / "lm.bin", settings=settings)
    with pytest.raises(BadArgument, match="--trust-lm"):
        PerplexityModel(tmp_path / "text.arpa", mode="bertin")
    arpa = PerplexityModel(tmp_path / "text.arpa", mode="bertin", trust=True)
    expected = PerplexityModel(tmp_path / "lm.bin").score(TEXTS)
    assert np.array_equal(arpa.score(TEXTS), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(arpa)).score(TEXTS[:9]), expected[:9])
    assert PerplexityModel(tmp_path / "text.arpa", mode="bertin").order == 3  # recorded by now


def test_a_record_goes_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").write_bytes(b"model")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("os.access", lambda *_: False)
    digest = recorded_sha256(tmp_path / "model")
    [record] = (tmp_path / "cache" / "tamiz" / "lm").iterdir()
    assert record.read_text() == f"{digest}  model\n"
    assert recorded_sha256(tmp_path / "model", record) == digest
