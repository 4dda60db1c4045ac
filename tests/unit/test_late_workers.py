"""A worker that outlives its run, stopped or cut off from its engine, leaves nothing that harms a finished output."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.errors import Unreachable
from corpora.manifest import MadeFrom
from corpora.verify import notes, verify
from pipelines.graph import UnitFailed, WorkOnUnits, _block
from pipelines.notes import Desk
from pipelines.standing import Watch
from tests.hostile_work import HostileWork

MADE_FROM = MadeFrom(stage="hostile", algorithm=1, settings={}, inputs=[])


@pytest.fixture
def unit(tmp_path: Path) -> WorkItem:
    (tmp_path / "in0.jsonl").write_text('{"text": "uno"}\n')
    (item,) = work_items([str(tmp_path / "in0.jsonl")])
    return item


@pytest.fixture
def desk(tmp_path: Path, unit: WorkItem) -> Desk:
    """Of a run that has begun."""
    manifest.begin(tmp_path / "out", MADE_FROM)
    desk = Desk(str(tmp_path / "out"))
    desk.write_units([unit])
    return desk


def finish(desk: Desk) -> None:
    """As a run does at its end."""
    desk.clear()
    manifest.finish(desk.home, records=[])


def test_a_beat_comes_while_the_run_is_at_work_and_not_after_it(desk):
    watch = Watch()
    with watch.over("in0.jsonl", 60.0, lambda _: None, desk):
        (beating,) = watch._units
        watch._beat(beating)
        assert len(desk.names("beats")) == 1
        finish(desk)
        watch.clock += 60.0
        watch._beat(beating)
    assert [path.name for path in desk.home.folder.iterdir()] == [manifest.NAME]


def test_a_block_of_a_list_that_is_gone_is_empty_after_its_run_and_an_error_before(desk):
    (place,) = desk.places(desk._list)
    assert len(_block(place, desk)) == 1
    desk.clear()
    with pytest.raises(UnitFailed, match=r"units\.jsonl"):
        _block(place, desk)
    finish(desk)
    assert _block(place, desk) == []


def test_a_worker_that_comes_after_its_run_does_nothing(unit, desk):
    late = WorkOnUnits(HostileWork(desk.out), desk, run="gone")._worker
    assert len(list(late.process(unit))) == 1
    (desk.home.folder / "in0.jsonl.out").unlink()
    finish(desk)
    assert list(late.process(unit)) == []
    assert [path.name for path in desk.home.folder.iterdir()] == [manifest.NAME]


def test_a_worker_that_ends_after_its_run_leaves_no_notes(unit, desk):
    class Slow(HostileWork):
        def __call__(self, item: WorkItem):
            result = super().__call__(item)
            finish(desk)
            return result

    late = WorkOnUnits(Slow(desk.out), desk, run="gone")._worker
    list(late.process(unit))
    assert not (desk.home.folder / manifest.PROGRESS).exists()


def test_without_its_list_a_run_may_still_be_at_work(unit, desk):
    """A network disk may show a new file late."""
    desk.clear()
    late = WorkOnUnits(HostileWork(desk.out), desk, run="elsewhere")._worker
    assert len(list(late.process(unit))) == 1


def test_a_store_that_does_not_answer_says_nothing_of_the_run(unit, desk, monkeypatch):
    def refuses(*_: object) -> bool:
        raise Unreachable("503")

    monkeypatch.setattr(Desk, "is_open", property(refuses))
    late = WorkOnUnits(HostileWork(desk.out), desk, run="elsewhere")._worker
    assert len(list(late.process(unit))) == 1


def test_what_was_left_nevertheless_is_no_fault_and_the_next_run_removes_it(desk):
    finish(desk)
    left = desk.home.folder / manifest.PROGRESS / "notes" / "00000" / "in0.jsonl.json"
    left.parent.mkdir(parents=True)
    left.touch()
    assert verify(desk.home) == (0, [])
    assert notes(desk.home)[1:] == [f"late: {left}: left by a worker that outlived its run, the next run removes it"]
    assert manifest.begin(desk.home, MADE_FROM) == "finished"
    assert not (desk.home.folder / manifest.PROGRESS).exists()
