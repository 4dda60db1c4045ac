"""The stages with outputs in a store: the same bytes as in a folder, whatever the store answers."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.errors import StaleOutput
from corpora.home import Home
from corpora.manifest import MadeFrom
from corpora.stores import store_of
from pipelines.accounts import input_identities
from pipelines.items import ItemReader
from pipelines.once import ItemResult
from pipelines.settings import RunnerSettings
from pipelines.stage import Pass, run_stage
from tamiz.verify import notes, verify
from tests.command import exit_code, tamiz
from tests.loopback_store import LoopbackStore, loopback_store

DEMO = Path(__file__).parents[2] / "tamiz" / "recipes" / "demo"
ASIDE = ("manifest.json", "log.jsonl", "README.md")  # they have times, or say how the run's inputs are named


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackStore]:
    with pytest.MonkeyPatch.context() as patch, loopback_store() as running:
        patch.setenv("TAMIZ_CACHE", str(tmp_path_factory.mktemp("cache")))
        store_of.cache_clear()
        yield running
    store_of.cache_clear()


def contents(home: Home) -> dict[str, str]:
    """The sha256 of every file, by name; without those that have times."""
    names = [name for name in home.entries() if name.rpartition("/")[2] not in ASIDE]
    return {name: hashlib.sha256(home.read_bytes(name)).hexdigest() for name in names}


def chain(inputs: list[str], lm: str, out: Home) -> None:
    """Tokenizer, scores, sample and shards in one place, each from what the one before left there."""
    given = [flag for pattern in inputs for flag in ("--input", pattern)]
    words = ["tokenizer", "train"]
    build = ["shards", "build", "--objective", "causal", "--sequence-length", 64]
    for command in (
        [*words, *given, "--kind", "bpe", "--vocab-size", 600, "--out", out.at("tokenizer")],
        ["score", *given, "--lm", lm, "--out", out.at("scores")],
        ["sample", *given, "--scores", out.at("scores"), "--keep", 0.5, "--out", out.at("sampled")],
        [*build, *given, "--tokenizer", out.at("tokenizer"), "--out", out.at("shards")],
        ["calibrate", out.at("scores")],
    ):
        assert exit_code(*command) == 0, command


@pytest.fixture(scope="module")
def chained(store: LoopbackStore, corpus: list[str], lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chain in a folder, and in the store with the language model there: while 1 of 5 answers is 503."""
    local = tmp_path_factory.mktemp("local")
    chain(corpus, str(lm), Home.of(local))
    far = Home.of(store.address("chain"))
    for ending in (".bin", ".json", ".spiece.model"):
        if (path := lm.with_suffix(ending)).exists():
            (far / "lm").write_bytes(path.name, path.read_bytes())
    store.faults.refuse = 0.2
    chain(corpus, far.at(f"lm/{lm.name}"), far)
    store.faults.refuse = 0.0
    return local


def test_a_store_gets_the_bytes_of_a_folder(chained: Path, store: LoopbackStore) -> None:
    far = Home.of(store.address("chain"))
    for stage in ("tokenizer", "scores", "sampled", "shards"):
        assert contents(far / stage) == contents(Home.of(chained / stage)), stage
    assert verify(far)[1] == []
    assert len(notes(far)) == 1
    assert not Path("s3:").exists()


@pytest.mark.usefixtures("chained")
def test_verify_finds_what_is_wrong_in_a_store(store: LoopbackStore, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(store.root / "tests" / "chain" / "scores", store.root / "tests" / "wrong")
    wrong = Home.of(store.address("wrong"))
    names = [name for name in wrong.entries() if name.endswith(".parquet")]
    data = wrong.read_bytes(names[0])
    wrong.write_bytes(names[0], data[:-1] + bytes([data[-1] ^ 1]))
    wrong.remove(names[1])
    wrong.write_bytes("more.txt", b"")
    code, _, said = tamiz(capsys, "verify", wrong)
    assert code == 1
    for line in (f"{names[0]}: sha256 differs", f"{names[1]}: missing", "more.txt: not listed"):
        assert f"{wrong}/{line}" in said


@pytest.mark.usefixtures("chained")
def test_what_is_finished_is_done_and_other_work_is_refused(
    store: LoopbackStore, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [flag for pattern in corpus for flag in ("--input", pattern)]
    out, scores = store.address("chain/sampled"), store.address("chain/scores")
    before = store.faults.requests["PUT"]
    code, said, _ = tamiz(capsys, "sample", *given, "--scores", scores, "--keep", 0.5, "--out", out)
    assert (code, store.faults.requests["PUT"] - before) == (0, 2), "the log alone is written"
    assert "nothing to do" in said
    code, _, said = tamiz(capsys, "sample", *given, "--scores", scores, "--keep", 0.4, "--out", out)
    assert code == 1
    assert f"{out} was made from something else" in said


def test_of_two_runs_that_begin_at_once_one_claims_the_folder(
    store: LoopbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.of(store.address("claimed"))
    one, other = (MadeFrom(stage="x", algorithm=n, settings={}, inputs=[]) for n in (1, 2))
    exists = Home.exists
    monkeypatch.setattr(Home, "exists", lambda h, name: False if name == manifest.NAME else exists(h, name))
    monkeypatch.setattr(manifest, "_entries", lambda _: [])
    assert manifest.begin(home, one) == "new"
    assert manifest.begin(home, one) == "continued"
    with pytest.raises(StaleOutput, match="algorithm version 1 -> 2"):  # it may be at work, without a result yet
        manifest.begin(home, other)


def test_a_run_that_lost_its_folder_to_another_does_not_finish_it(store: LoopbackStore) -> None:
    """Its files would lie there as those of other settings."""
    home = Home.of(store.address("taken"))
    one, other = (MadeFrom(stage="x", algorithm=n, settings={}, inputs=[]) for n in (1, 2))
    manifest.begin(home, one)
    manifest.begin(home, other, rebuild=True)
    with pytest.raises(StaleOutput, match=r"another run took .* .algorithm version 1 -> 2"):
        manifest.finish(home, records=[], made_from=one)
    assert manifest.finish(home, records=[], made_from=other).finished


_meanwhile: list[Callable[[], None]] = []


@dataclass(frozen=True)
class CopyWork:
    """Copies the texts of an item; before the second one, what is in `_meanwhile` is called, once."""

    out: str
    fingerprint: str = "f"

    def __call__(self, item: WorkItem) -> ItemResult:
        with ItemReader(self.out, item) as reader:
            texts = [str(text) for batch in reader.batches() for text in batch.texts]
        if _meanwhile and item.number == 1:
            _meanwhile.pop()()
        with Home.of(self.out).writing(f"{item.name}.out") as file:
            file.path.write_text("".join(texts))
        return reader.result(kept=len(texts), files=[file.record()])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_another_one_overtakes_ends_with_it(store: LoopbackStore, tmp_path: Path, workers: int) -> None:
    """The other removes the list of the units and the notes that this one works with."""
    for number in range(5):
        (tmp_path / f"in{number}.jsonl").write_text('{"text": "uno"}\n')
    items, home = work_items([str(tmp_path / "in*.jsonl")]), Home.of(store.address(f"overtaken-{workers}"))
    made_from = MadeFrom(stage="copies", algorithm=1, settings={}, inputs=input_identities(items, home))

    def run() -> None:
        states.append(
            run_stage(home, made_from, [Pass(CopyWork(str(home)), items)], RunnerSettings(workers=workers)).state
        )

    def overtake() -> None:
        other = threading.Thread(target=run)
        other.start()
        other.join()

    states: list[str] = []
    _meanwhile[:] = [overtake]
    run()
    assert states == ["continued", "continued"]
    assert sorted(home.entries()) == [*(f"in{number}.jsonl.out" for number in range(5)), "manifest.json"]
    assert verify(home)[1] == []


def test_rows_of_a_store_are_read_and_shown(
    chained: Path, store: LoopbackStore, capsys: pytest.CaptureFixture[str]
) -> None:
    from corpora.rows import read_shards

    far, near = read_shards(store.address("chain/shards")), read_shards(chained / "shards")
    assert far.fingerprint == near.fingerprint
    groups = range(len(near.split("train").group_rows))
    for name, values in near.split("train").read(groups, {}).items():
        assert (values == far.split("train").read(groups, {})[name]).all()
    places = (chained / "shards", store.address("chain/shards"))
    near_row, far_row = (tamiz(capsys, "shards", "inspect", place, "--row", 1)[1] for place in places)
    assert near_row.partition("Row")[0] == far_row.partition("Row")[0] != ""
    assert store.address("chain/tokenizer") in far_row


RECIPE = """
name = "far"
title = "A run in a store"
[documents]
input = ["{corpus}/*"]
[lm]
input = ["{clean}"]
order = 3
train_tokenizer = 600
[score]
[sample]
keep = 0.5
[tokenizer]
kind = "bpe"
vocab_size = 600
[shards]
objective = "causal"
sequence_length = 64
"""


def _same_report(far: Home, near: Home) -> None:
    """The run has written its page; `tamiz report` writes one for a sample, reading only the store."""
    plots = [name for name in near.entries("report") if name.endswith(".png")]
    assert plots
    assert [far.read_bytes(name) for name in plots] == [near.read_bytes(name) for name in plots]
    assert b"Documents nearest each decile" in far.read_bytes("report/index.html")
    assert exit_code("report", far / "sampled") == 0
    assert (far / "sampled").exists("report/index.html")


def test_a_run_in_a_store(
    corpus: list[str], store: LoopbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage reads what the one before left in the store; the same command has nothing to do."""
    monkeypatch.chdir(tmp_path)
    text = RECIPE.format(corpus=corpus[0].removesuffix("/*"), clean=DEMO / "clean.jsonl")
    (tmp_path / "far.toml").write_text(text)
    far = store.address("whole")
    assert exit_code("run", "far.toml", "--out", far) == 0
    assert exit_code("run", "far.toml", "--out", tmp_path / "near") == 0
    for stage in ("lm", "scores", "sampled", "tokenizer", "shards"):
        assert contents(Home.of(far) / stage) == contents(Home.of(tmp_path / "near" / stage)), stage
    for stage in ("scores", "sampled", "tokenizer", "shards"):
        one, other = (manifest.read(Home.of(place) / stage).fingerprint for place in (far, tmp_path / "near"))
        assert one == other, "what tamiz left in a store is known by its content, as on a disk"
    card = "tokenizer/README.md"
    assert Home.of(far).read_bytes(card) == (tmp_path / "near" / card).read_bytes()
    _same_report(Home.of(far), Home.of(tmp_path / "near"))
    before = manifest.read(Home.of(far) / "shards")
    assert exit_code("run", far) == 0
    assert manifest.read(Home.of(far) / "shards") == before
    assert verify(Home.of(far))[1] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far.toml", "near"]
