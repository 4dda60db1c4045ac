"""The ways to the same scores: without kenlm, with it, with SentencePiece; and what is said about the slow ones."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Literal

import kenlm
import numpy as np
import pyarrow as pa
import pytest
import sentencepiece

from corpora import extras
from corpora.errors import BadArgument
from corpora.perplexity import PerplexityModel, text_batches
from corpora.perplexity.lm_header import check_lm
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from tests.reference import kenlm_loop
from tests.small_models import ODD, SETTINGS, TEXTS, train_models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of lines.bin, ccnet.bin and bertin.bin."""
    return train_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("mode", ["lines", "ccnet"])
def test_other_files_are_scored_with_kenlm_and_say_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: Literal["lines", "ccnet"]
) -> None:
    settings = LmSettings(order=3, train_tokenizer=100, mode=mode, arpa=str(tmp_path / "text.arpa"))
    train_lm(TEXTS, tmp_path / "lm.bin", settings=settings)
    tokenizer = tmp_path / "lm.spiece.model"
    arpa = [PerplexityModel(tmp_path / "text.arpa", tokenizer, mode, trust=True) for _ in range(2)][1]
    texts = [*TEXTS[:50], *ODD, None]
    assert np.array_equal(arpa.score(texts), PerplexityModel(tmp_path / "lm.bin").score(texts), equal_nan=True)
    assert [record.message for record in caplog.records if "text.arpa" in record.message] == [
        f"{tmp_path}/text.arpa: arpa, so kenlm scores it line by line: a probing binary is much faster"
    ]


@pytest.mark.parametrize("mode", ["lines", "ccnet"])
def test_a_tokenizer_that_is_no_unigram_model(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """SentencePiece cuts the lines, and no kenlm is needed."""
    train_bpe(tmp_path / "bpe.model")
    lm = tmp_path / "lm.bin"
    lm.write_bytes((models / f"{mode}.bin").read_bytes())
    model, texts = PerplexityModel(lm, tmp_path / "bpe.model", mode), [*TEXTS[:50], *ODD]
    [said] = [record.message for record in caplog.records if "not a unigram" in record.message]
    assert "SentencePiece encodes every line" in said
    loop = kenlm.Model(str(lm)), sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "bpe.model"))
    perplexity, lengths = model.score_with_lengths(texts)
    expected = [kenlm_loop.perplexity(*loop, mode, text) for text in texts]
    assert repr(list(zip(perplexity.tolist(), lengths.tolist(), strict=True))) == repr(expected)


def train_bpe(path: Path) -> None:
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter("\n".join(TEXTS).split("\n")),
            model_writer=file,
            model_type="bpe",
            vocab_size=200,
            minloglevel=2,
        )


def test_without_kenlm_only_probing_binaries_are_scored(models: Path, tmp_path: Path) -> None:
    """In a process where kenlm can't be imported."""
    settings = LmSettings(order=2, words=True, arpa=str(tmp_path / "text.arpa"))
    train_lm(TEXTS, tmp_path / "lm.bin", settings=settings)
    program = """
import sys
sys.modules["kenlm"] = None
from corpora.errors import TamizError
from corpora.perplexity import PerplexityModel, text_batches
from corpora.perplexity.lm_header import check_lm
for lm in sys.argv[2:]:
    PerplexityModel(lm).score(["una cosa", None])
try:
    PerplexityModel(sys.argv[1], mode="bertin", trust=True)
except TamizError as error:
    print(error)
"""
    arguments = [tmp_path / "text.arpa", *(models / f"{mode}.bin" for mode in SETTINGS)]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    assert extras.line("kenlm") in done.stdout


@pytest.mark.parametrize("mode", SETTINGS)
def test_long_texts_are_cut_without_a_trace(models: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = PerplexityModel(models / f"{mode}.bin")
    texts = ["\n".join(TEXTS), TEXTS[0], "\n" * 999, "una línea " * 500]
    expected = model.score_with_lengths(texts)
    monkeypatch.setattr(text_batches.text_batches, "__kwdefaults__", {"size": 500})
    for given in (texts, pa.array(texts)):
        found = model.score_with_lengths(given)
        assert all(map(partial(np.array_equal, equal_nan=True), found, expected))


def test_a_lone_surrogate_is_named(models: Path) -> None:
    with pytest.raises(BadArgument, match="text 1 has a lone surrogate"):
        PerplexityModel(models / "lines.bin").score(["a", "b\udc80"])


def test_a_score_beyond_all_bounds_is_infinite(models: Path, tmp_path: Path) -> None:
    """Of a file whose floats are damaged; nothing stops."""
    header = check_lm(models / "bertin.bin")
    content = bytearray((models / "bertin.bin").read_bytes())
    unigrams = header.layout.unigrams
    np.frombuffer(content, "<f4", 2 * unigrams.cells, unigrams.offset)[:] = -1e30
    (tmp_path / "lm.bin").write_bytes(content)
    assert PerplexityModel(tmp_path / "lm.bin", mode="bertin").score(["una cosa"]).tolist() == [math.inf]
