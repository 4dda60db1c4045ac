"""What workers load: once, by content, and never another run's."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpora.documents.items import work_items
from corpora.errors import TamizError
from corpora.loaded import Loaded
from corpora.perplexity.model import PerplexityModel
from corpora.perplexity.routing import LmChoice
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from corpora.tokens.objectives import Causal
from pipelines.evaluate import EvaluateWork
from pipelines.score import ScoreWork
from pipelines.shards import ShardWork
from tests.conftest import digests
from tests.make_tokenizers import make_tokenizer
from tokenizer_train.evaluation.settings import EvaluationSettings


def test_an_object_is_loaded_once_and_the_least_used_is_dropped():
    loaded, calls = Loaded[str](size=2), []

    def get(key: str) -> str:
        return loaded.get(key, lambda: calls.append(key) or key.upper())

    assert [get(key) for key in "abab"] == ["A", "B", "A", "B"]
    get("a")
    get("c")
    assert (get("a"), calls) == ("A", ["a", "b", "c"])
    get("b")
    assert calls == ["a", "b", "c", "b"]


def test_a_load_that_failed_is_tried_again():
    loaded = Loaded[int](size=1)
    with pytest.raises(TamizError, match="no disk"):
        loaded.get("k", lambda: (_ for _ in ()).throw(TamizError("no disk")))
    assert loaded.get("k", lambda: 7) == 7


def test_threads_share_one_load():
    loaded, calls, barrier = Loaded[int](size=1), [], threading.Barrier(4)

    def get(_: int) -> int:
        barrier.wait()
        return loaded.get("k", lambda: calls.append(1) or 7)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(get, range(4))) == [7] * 4
    assert calls == [1]


@pytest.fixture
def reused() -> Iterator[ProcessPoolExecutor]:
    """A worker process that outlives a run, as those of Flink and Spark do."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def texts(demo: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (demo / "documents.jsonl").read_bytes().splitlines()][:60]


@pytest.fixture
def source(texts: list[str], tmp_path: Path) -> Any:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return work_items([str(path)])[0]


def test_a_reused_worker_scores_with_the_model_of_its_run(texts, source, tmp_path, reused):
    lm = tmp_path / "lm.bin"
    for n, part in enumerate((texts[:30], texts[30:])):
        train_lm(part, lm, settings=LmSettings(order=2, words=True))
        work = ScoreWork(str(tmp_path / f"out{n}"), f"run {n}", (LmChoice(str(lm)),))
        reused.submit(work, source).result()
        found = pq.read_table(tmp_path / f"out{n}" / "in.jsonl.parquet").column("perplexity")
        assert found.to_pylist() == PerplexityModel(lm).score(texts).tolist()


def test_a_worker_with_another_model_refuses(texts, source, tmp_path, reused):
    lm = tmp_path / "lm.bin"
    train_lm(texts[:30], lm, settings=LmSettings(order=2, words=True))
    work = ScoreWork(str(tmp_path / "out"), "f", (LmChoice(str(lm)),))
    train_lm(texts[30:], lm, settings=LmSettings(order=2, words=True))
    with pytest.raises(
        TamizError, match=r"lm\.bin: this worker's file has sha256 .* give every worker the same file"
    ):
        reused.submit(work, source).result()
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def two_tokenizers(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("tokenizers")
    return [Path(make_tokenizer(kind, texts, folder / kind)) for kind in ("unigram", "byte_level")]


def replace(folder: Path, other: Path) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(other, folder)
    return str(folder)


def test_a_reused_worker_encodes_with_the_tokenizer_of_its_run(two_tokenizers, source, tmp_path, reused):
    settings = Causal(sequence_length=64)
    for n, folder in enumerate(two_tokenizers):
        path = replace(tmp_path / "tokenizer", folder)
        work = ShardWork(str(tmp_path / f"reused{n}"), f"run {n}", path, settings)
        reused.submit(work, source).result()
        pickle.loads(pickle.dumps(ShardWork(str(tmp_path / f"here{n}"), f"run {n}", str(folder), settings)))(source)
        assert digests(tmp_path / f"reused{n}") == digests(tmp_path / f"here{n}")
    replace(tmp_path / "tokenizer", two_tokenizers[0])
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh,
        pytest.raises(TamizError, match="tokenizer: this worker's file has sha256"),
    ):
        fresh.submit(work, source).result()


def test_a_reused_worker_evaluates_the_tokenizers_of_its_run(two_tokenizers, source, tmp_path, reused):
    settings, sizes = EvaluationSettings(language_column="lang"), []
    for n, folder in enumerate(two_tokenizers):
        path = replace(tmp_path / "tokenizer", folder)
        work = EvaluateWork(str(tmp_path / "out"), f"run {n}", (("t", path),), settings)
        found = reused.submit(work, source).result()
        assert found.facts == EvaluateWork(str(tmp_path / "here"), "f", (("t", str(folder)),), settings)(source).facts
        sizes.append(found.facts["tallies"][0][3]["tokens"])
    assert sizes[0] != sizes[1]
    replace(tmp_path / "tokenizer", two_tokenizers[0])
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh,
        pytest.raises(TamizError, match="tokenizer: this worker's file has sha256"),
    ):
        fresh.submit(work, source).result()
