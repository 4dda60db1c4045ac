"""Work on a disk whose output belongs to a store: trainings and exports at an address, and machines that are gone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora import leases, manifest
from corpora.home import Home
from corpora.leases import Lease
from corpora.locks import SUFFIX
from corpora.manifest import MadeFrom
from corpora.stores import store_of
from tamiz import mirror
from tests.command import exit_code, tamiz
from tests.loopback_store import LoopbackStore, loopback_store
from tests.make_shards import MODEL, make_home

WORK = MadeFrom(stage="x", algorithm=1, settings={}, inputs=[])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackStore]:
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(leases, "PATIENCE", 0.2)
    monkeypatch.setattr(leases, "_LOOK", 0.02)
    store_of.cache_clear()
    with loopback_store() as running:
        yield running
    store_of.cache_clear()


def half(home: Home, name: str = "checkpoint-1") -> Path:
    """A machine that dies in its work, after something was sent."""
    folder = mirror.folder_of(home)
    lease = Lease(home, "train", folder.parent / "lease")
    lease.take()
    dying = mirror._Mirror(home, folder, lease)
    dying.fetch()
    manifest.begin(folder, WORK)
    (folder / name).write_bytes(name.encode())
    dying.send(last=False)
    lease.stop()
    return folder


def test_another_machine_continues_what_was_sent(store: LoopbackStore, tmp_path: Path) -> None:
    home = Home.of(store.address("model"))
    half(home)
    assert list(home.entries()) == [SUFFIX, "checkpoint-1", "manifest.json"], (
        "the claim is sent, so that work can go on"
    )
    shutil.rmtree(tmp_path / "cache")
    with mirror.mirrored(home, "train") as folder:
        assert manifest.begin(folder, WORK) == "continued"
        assert (folder / "checkpoint-1").read_bytes() == b"checkpoint-1"


def test_what_another_machine_wrote_counts(
    store: LoopbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.of(store.address("model"))
    folder = half(home)
    (folder / "metrics").write_bytes(b"only here")
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "another"))
    with mirror.mirrored(home, "train") as other:
        (other / "checkpoint-1").rename(other / "checkpoint-2")
        (other / "metrics").write_bytes(b"2")
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "cache"))
    with mirror.mirrored(home, "train") as folder:
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["checkpoint-2", "manifest.json", "metrics"]
        assert (folder / "metrics").read_bytes() == b"2"


def test_what_is_only_here_stays_if_nobody_else_wrote(store: LoopbackStore) -> None:
    home = Home.of(store.address("model"))
    folder = half(home)
    (folder / "checkpoint-2").write_bytes(b"2")
    home.write_bytes(manifest.LOG, b"a log goes there by itself")
    with mirror.mirrored(home, "train") as again:
        assert (again / "checkpoint-2").read_bytes() == b"2"
    assert home.exists("checkpoint-2")


def test_files_are_sent_while_the_work_goes_on_and_the_finished_manifest_last(
    store: LoopbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.of(store.address("model"))
    monkeypatch.setattr(mirror, "SECONDS", 0.05)
    with mirror.mirrored(home, "train") as folder:
        manifest.begin(folder, WORK)
        (folder / "kept").write_bytes(b"1")
        manifest.finish(folder, records=[manifest.record(folder, folder / "kept")])
        for _ in range(100):
            if home.exists("kept"):
                break
            time.sleep(0.05)
        assert home.exists("kept")
        assert not (home.exists(manifest.NAME) and manifest.read(home).finished)
    assert manifest.read(home).finished


@pytest.mark.usefixtures("quick_plots")
def test_a_training_at_addresses_makes_the_model_of_a_training_in_folders(
    store: LoopbackStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    near, far = make_home(tmp_path / "near", MODEL), Home.of(store.address("far"))
    far.publish(near)
    given = ("--model", near / "m.toml")
    assert exit_code("train", "--shards", near / "shards", *given, "--out", near / "model") == 0
    assert exit_code("train", "--shards", far / "shards", *given, "--out", far / "model") == 0
    model = "model/model.safetensors"
    assert far.read_bytes(model) == (near / model).read_bytes()
    assert exit_code("verify", far / "model") == 0
    shutil.rmtree(mirror.folder_of(far / "model"))
    assert exit_code("train", "--shards", far / "shards", *given, "--out", far / "model") == 0
    capsys.readouterr()
    texts = [
        tamiz(capsys, "generate", place, "palabra1 <extra_id_0>")[1] for place in (near / "model", far / "model")
    ]
    assert texts[0] == texts[1] != ""
    half_each = [f"{far / 'shards'}=0.5", f"{near / 'shards'}=0.5"]
    assert exit_code("train", "--shards", *half_each, *given, "--out", far / "mixed") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "near"]


def test_rows_at_an_address_are_torch_tensors(store: LoopbackStore, tmp_path: Path) -> None:
    from tamiz.trainer.dataset import ShardDataset

    near, far = make_home(tmp_path / "near", MODEL), Home.of(store.address("far"))
    far.publish(near)
    one, other = (next(iter(ShardDataset(str(p), batch_size=4))) for p in (near / "shards", far / "shards"))
    assert (one["input_ids"] == other["input_ids"]).all()
