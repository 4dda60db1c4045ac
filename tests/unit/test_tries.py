"""What a pass leaves while it runs; units that end their process; results read a thousand at a time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import msgspec
import pytest
from apache_beam.runners.worker.statesampler import StateSampler
from apache_beam.utils.counters import CounterFactory

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.errors import BadArgument, TamizError
from corpora.parted import parts
from pipelines import runners
from pipelines.graph import WorkOnUnits, work_on_list
from pipelines.notes import MOST_BLOCKS, Desk
from pipelines.once import ItemResult, read_note, record
from pipelines.progress import Counted
from pipelines.results import Results, collect
from pipelines.row_numbers import _lines
from pipelines.runners import _Pipeline, run_units
from pipelines.settings import RunnerSettings
from pipelines.stage import _damaged
from pipelines.standing import Watch
from pipelines.tries import SET_ASIDE, Tries, attempt
from tests.hostile_work import HostileWork

TAKEN: list[tuple[int, int]] = []


@dataclass(frozen=True)
class FirstIsSlow:
    """Notes which thread takes which unit; the first takes four seconds."""

    out: str
    fingerprint: str = "f"

    def __call__(self, item: WorkItem) -> ItemResult:
        TAKEN.append((threading.get_ident(), item.number))
        time.sleep(0 if item.number else 4)
        return ItemResult(name=item.name, number=item.number, kept=1)


def item_of(folder: Path, text: str) -> WorkItem:
    (folder / "in0.jsonl").write_text(f'{{"text": "{text}"}}\n')
    (item,) = work_items([str(folder / "in0.jsonl")])
    return item


@pytest.fixture
def many(tmp_path: Path) -> list[WorkItem]:
    item = item_of(tmp_path, "uno")
    return [msgspec.structs.replace(item, number=n, name=f"in{n}.jsonl") for n in range(2500)]


def listed(desk: Desk, name: str, most: int = MOST_BLOCKS) -> list[list]:
    return [desk.block(place) for place in desk.places(name, most)]


def alone(work: HostileWork, unit, stall: float = 60.0) -> ItemResult:
    return attempt(work, unit, Desk(work.out), stall, lambda: None)


def test_the_graph_holds_no_items_and_a_store_can_list_the_notes(many, tmp_path):
    desk, work = Desk(str(tmp_path / "out")), HostileWork(str(tmp_path / "out"))
    name = desk.write_units(many)
    assert listed(desk, name) == [[unit] for unit in many]
    assert listed(desk, desk.write_units(parts(64))) == [[part] for part in parts(64)]
    pipeline = beam.Pipeline()
    work_on_list(pipeline, name, WorkOnUnits(work, desk), desk)
    assert pipeline.to_runner_api().ByteSize() < 20_000
    assert [desk.note(many[n]) for n in (0, 999, 1000)] == [
        ".progress/notes/00000/in0.jsonl.json",
        ".progress/notes/00000/in999.jsonl.json",
        ".progress/notes/00001/in1000.jsonl.json",
    ]


def test_progress_counts_notes_by_folder(many, tmp_path):
    work = HostileWork(str(tmp_path / "out"))
    counted = Counted(Desk(work.out), many)
    counted.look()
    assert counted.done == 0
    for unit in (*many[:3], *many[2000:2250]):
        path = tmp_path / "out" / Desk(work.out).note(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    before = counted.state
    counted.look()
    assert counted.state != before
    assert counted.done * 2500 == counted.total * 253


def test_results_are_a_sequence_in_the_order_of_the_units(many, tmp_path):
    results = Results()
    expected = [ItemResult(name=unit.name, number=unit.number, facts={"n": unit.number}) for unit in many]
    for start in range(0, 2500, 1000):
        results.add(expected[start : start + 1000])
    assert (len(results), list(results)) == (2500, expected)
    assert [results[0], results[1999], results[-1], results[2499:]] == [
        *(expected[n] for n in (0, 1999, -1)),
        expected[2499:],
    ]
    work = HostileWork(str(tmp_path / "out"))
    alone(work, many[1])
    found, missing = collect(work, many[:3])
    assert ([r.name for r in found], missing) == (["in1.jsonl"], [many[0], many[2]])


def test_a_unit_that_begins_is_written_down_until_it_ends(many, tmp_path):
    work, unit = HostileWork(str(tmp_path / "out")), many[0]
    tries = tmp_path / "out" / Desk(work.out).tries(unit)
    seen = []

    class Looking(HostileWork):
        def __call__(self, item):
            seen.append(msgspec.json.decode(tries.read_bytes(), type=Tries))
            return super().__call__(item)

    assert alone(Looking(work.out), unit).kept == 1
    assert seen == [Tries(begun=True)]
    assert not tries.exists()
    with pytest.raises(TamizError, match="asked for"):
        alone(HostileWork(work.out, "other"), item_of(tmp_path, "refuse"))
    assert not tries.exists()  # an error isn't the end of a process


@pytest.mark.slow
def test_a_unit_that_ended_its_worker_is_tried_apart_and_set_aside(many, tmp_path):
    """Nothing is lost silently: the manifest's account of damaged inputs names it, with the reason."""
    work, unit = HostileWork(str(tmp_path / "out")), many[0]
    tries = tmp_path / "out" / Desk(work.out).tries(unit)
    tries.parent.mkdir(parents=True)
    tries.write_bytes(b'{"begun":true}')
    assert alone(work, unit).kept == 1  # something else had ended its worker
    assert not tries.exists()
    tries.write_bytes(b"{")  # cut by a kill
    other, unit = HostileWork(work.out, "other"), item_of(tmp_path, "crash")
    result = alone(other, unit)
    assert result.damage == "set aside after 3 tries: its process was ended by SIGSEGV"
    assert (tmp_path / "out.ends").read_bytes() == b".."  # the first try was that of its worker
    assert (result.read, result.files) == (0, read_note(other, unit).files)
    assert (tmp_path / "out" / "in0.jsonl.out").read_bytes() == b""


def test_the_first_damage_of_a_file_is_listed_and_every_item_that_was_set_aside(many):
    units = [msgspec.structs.replace(unit, path="a" if n < 4 else "b") for n, unit in enumerate(many[:6])]
    told = [None, "cut", "behind damage", f"{SET_ASIDE} 3 tries (item0003)", f"{SET_ASIDE} 3 tries (item0000)", "cut"]
    results = [ItemResult(name=u.name, number=u.number, damage=d) for u, d in zip(units, told, strict=True)]
    listed = [(each["file"], each["damage"]) for each in _damaged(units, results)]
    assert listed == [("a", told[1]), ("a", told[3]), ("b", told[4]), ("b", told[5])]


def test_more_units_set_aside_than_single_bad_inputs_end_the_run(many, tmp_path):
    work = HostileWork(str(tmp_path / "out"))
    desk = Desk(work.out)
    running = _Pipeline(work, many[:40], RunnerSettings(), desk, None, threading.Event())
    for number in range(10):
        desk.home.write_bytes(f"{desk.run}/aside/in{number}", b"its process was ended by SIGSEGV")
    running._check_aside()
    desk.home.write_bytes(f"{desk.run}/aside/in10", b"its process was ended by SIGSEGV")
    with pytest.raises(TamizError, match=r"11 inputs ended their processes, too many .* the first: its process was"):
        running._check_aside()


def test_lines_that_could_not_be_counted_number_no_row():
    with pytest.raises(TamizError, match=r"a\.item0000: its lines couldn't be counted \(set aside after 3 tries\)"):
        _lines(ItemResult(name="a.item0000", number=0, damage="set aside after 3 tries"))


def test_a_unit_without_progress_is_told_of_once():
    watch, told = Watch(), []
    stop = threading.Event()

    def lively() -> None:
        with watch.over("lively", 1.0, told.append) as alive:
            while not stop.wait(0.1):
                alive()

    thread = threading.Thread(target=lively)
    thread.start()
    with watch.over("still", 1.0, told.append):
        time.sleep(2.6)
    stop.set()
    thread.join()
    assert told == ["still made no progress for 1 s"]


def test_an_engine_gets_a_bounded_number_of_elements(many, tmp_path):
    desk = Desk(str(tmp_path / "out"))
    found = listed(desk, desk.write_units(many), 1000)
    assert [len(block) for block in found] == [3] * 833 + [1]
    assert [unit for block in found for unit in block] == many
    assert listed(desk, desk.write_units(many[:1000]), 1000) == [[unit] for unit in many[:1000]]
    assert listed(desk, desk.write_units([])) == []


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_units_in_blocks_are_all_done_once(many, tmp_path, monkeypatch, mode):
    monkeypatch.setattr(runners, "_FOR_PROCESSES", 7)
    few, work = many[:500], HostileWork(str(tmp_path / "out"))
    settings = RunnerSettings(workers=2, beam_flags=(f"--direct_running_mode={mode}",))
    assert [result.number for result in run_units(work, few, settings)] == list(range(500))
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.out")) == sorted(
        f"{unit.name}.out" for unit in few
    )


def test_threads_take_units_one_after_the_other_and_none_waits_for_another(many, tmp_path):
    """FnApiRunner by itself gives each thread half of them before the first begins."""
    TAKEN.clear()
    results = run_units(FirstIsSlow(str(tmp_path / "out")), many[:200], RunnerSettings(workers=2))
    assert [result.number for result in results] == list(range(200))
    assert sorted(number for _, number in TAKEN) == list(range(200))
    (slow,) = [thread for thread, number in TAKEN if number == 0]
    assert sum(thread == slow for thread, _ in TAKEN) < 80


def test_one_thread_takes_units_in_their_order(many, tmp_path):
    TAKEN.clear()
    run_units(FirstIsSlow(str(tmp_path / "out")), many[1:50], RunnerSettings())
    assert [number for _, number in TAKEN] == list(range(1, 50))


def test_this_process_holds_few_elements_and_an_engine_many(many, tmp_path, monkeypatch):
    asked = []

    def asked_for(_pipeline, _name, _worker, _desk, most):
        asked.append(most)
        raise BadArgument("enough")

    monkeypatch.setattr(runners, "work_on_list", asked_for)
    processes = ("--direct_running_mode=multi_processing",)
    for settings in (
        RunnerSettings(workers=2),
        RunnerSettings(workers=2, beam_flags=("--direct_num_workers=16",)),
        RunnerSettings(workers=2, beam_flags=processes),
        RunnerSettings(runner="PrismRunner"),
    ):
        with pytest.raises(BadArgument, match="enough"):
            run_units(HostileWork(str(tmp_path / "out")), many, settings)
    assert asked == [8, 64, 1024, 10_000]


def test_a_desk_lies_at_any_address(many):
    desk, work = Desk("memory://desk/out", "pass-2", (2, 3)), HostileWork("memory://desk/out")
    assert listed(desk, desk.write_units(many)) == [[unit] for unit in many]
    assert desk.failure() is None
    desk.fail(many[0], "DamagedFile", "is cut")
    assert desk.failure() == ("DamagedFile", "is cut")
    result = ItemResult(name=many[1200].name, number=1200, kept=1)
    record(work, many[1200], result, desk.notes)
    counted = Counted(desk, many)
    assert counted.look()
    assert counted.done * 2500 == counted.total
    assert not counted.look()  # it isn't time for another listing
    found, missing = collect(work, many[1199:1201], desk.notes)
    assert (list(found), missing) == ([result], [many[1199]])
    desk.clear()
    left = [desk.note(many[1200]), f"{desk.run}/units.jsonl"]  # the list: another run of the same work may read it
    assert list(desk.home.entries()) == left


def test_a_pipeline_does_not_wait_long_for_beams_sampler(many, tmp_path):
    """Its thread sleeps as long; that of a run of a minute slept for 200 ms after the last unit."""
    run_units(HostileWork(str(tmp_path / "out")), many[:1], RunnerSettings())
    assert StateSampler("x", CounterFactory()).sampling_period_ms == 10
