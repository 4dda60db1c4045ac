"""`tamiz plan`: laws of growth, looks at inputs, what is measured, and a plan beside its run."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from corpora import usage
from corpora.documents.items import work_items
from corpora.errors import DamagedFile, TamizError
from corpora.perplexity import train_lm
from tamiz.console import progress
from tamiz.planning import actual, lines, planned
from tamiz.planning.figures import Rehearsed, cold_start
from tamiz.planning.figures import planned as planned_stage
from tamiz.planning.look import Amounts, listed, look, write_part
from tamiz.planning.planned import Planned, PlannedPhase, PlannedStage
from tamiz.planning.rehearsal import LARGE, SMALL, WARM, Looks, parts_of
from tamiz.planning.watch import Measured, watched
from tamiz.planning.whole import Asked, _asked_for
from tamiz.recipes.load import load
from tamiz.stages import STAGES, lm_training
from tamiz.stages.growth import Growth
from tests.command import exit_code, tamiz
from tests.conftest import DEMO, ROOT

RECIPE = """
[documents]
input = "{input}"
[tokenizer]
kind = "bytes"
vocab_size = 263
extra_ids = 4
lowercase = false
[shards]
sequence_length = 64
mean_noise_span_length = 20.0
"""


@pytest.mark.parametrize(("x", "cost"), [(1, 7), (4, 13), (10, 25), (1e6, 5 + 2e6)])
def test_a_linear_cost_has_a_fixed_part_and_a_rate(x, cost):
    assert Growth().at(x, (1, 7), (4, 13)) == pytest.approx(cost)


def test_cores_share_what_grows_and_not_what_is_fixed():
    assert Growth(shared=True).at(10, (1, 7), (4, 13), cores=4) == pytest.approx(5 + 20 / 4)
    assert Growth().at(10, (1, 7), (4, 13), cores=4) == pytest.approx(25)


def test_beyond_its_bound_a_cost_does_not_grow():
    assert Growth(most=6).at(1e9, (1, 7), (4, 13)) == Growth().at(6, (1, 7), (4, 13))
    assert Growth(law="power", most=6).at(1e9, (1, 2), (4, 4)) == pytest.approx(2 * 6**0.5)
    assert Growth(most=1).at(1e9, (10, 7), (40, 9)) == 9


def test_a_power_law_is_a_line_on_logarithms_and_never_too_steep():
    law = Growth(law="power")
    assert law.at(16, (1, 2), (4, 4)) == pytest.approx(8)
    assert law.at(40, (1, 1), (4, 64)) == pytest.approx(64 * 10**1.2)


def test_noise_makes_no_negative_rate_and_no_negative_part():
    for small, large in (((1, 9.0), (4, 8.0)), ((1, 1.0), (4, 16.0)), ((4, 8.0), (4, 8.0))):
        fixed, growing = Growth().parts(400, small, large)
        assert (fixed, growing) == (0, large[1] * 100)
    assert Growth().at(5, (0, 1), (0, 2)) == 2


def _documents(number: int) -> list[str]:
    told = [json.loads(line)["text"] for line in (DEMO / "documents.jsonl").read_bytes().splitlines()]
    return [f"{told[n % len(told)]} {n}" for n in range(number)]


def _write(path: Path, texts: list[str]) -> int:
    """Returns the bytes of text."""
    data = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode()
    path.write_bytes(gzip.compress(data, 6) if path.suffix == ".gz" else data)
    return sum(len(text.encode()) for text in texts)


def test_a_look_at_items_read_to_their_ends_is_exact(tmp_path):
    written = sum(_write(tmp_path / f"{n}.jsonl.gz", _documents(100)) for n in range(3))
    seen = look(listed([str(tmp_path / "*")]), 1 << 20)
    amounts = seen.amounts()
    assert seen.exact
    assert (round(amounts.text), round(amounts.documents), amounts.files, amounts.items) == (written, 300, 3, 3)
    assert seen.amounts(share=0.5).documents == pytest.approx(150)


@pytest.mark.parametrize("name", ["large.jsonl", "large.jsonl.gz"])
def test_a_look_at_a_beginning_is_near(tmp_path, name):
    written = _write(tmp_path / name, _documents(4000))
    seen = look(listed([str(tmp_path / name)]), 100_000)
    assert not seen.exact
    assert seen.amounts().text == pytest.approx(written, rel=0.25)
    assert sum(len(rows) for rows in seen.rows.values()) < 1000


def test_inputs_without_a_document_are_refused(tmp_path):
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    with pytest.raises(TamizError, match=r"empty\.jsonl.*no document"):
        look(listed([str(tmp_path / "empty.jsonl")]), 1000)


def test_parts_have_their_size_and_keep_the_names_of_files(tmp_path):
    text = _write(tmp_path / "es-0.jsonl", _documents(400))
    seen = look(listed([str(tmp_path / "es-0.jsonl")]), text)
    assert write_part(seen.rows, tmp_path / "part", text / 4) == pytest.approx(100, rel=0.2)
    (item,) = work_items([str(tmp_path / "part" / "*")])
    assert item.path.endswith("es-0.jsonl.jsonl")


def test_what_is_asked_for_replaces_what_is_listed(tmp_path):
    _write(tmp_path / "a.jsonl", _documents(100))
    seen = look(listed([str(tmp_path / "a.jsonl")]), 1 << 20)
    whole = _asked_for(seen.amounts(), seen, Asked(documents=416e6))
    assert whole.text == pytest.approx(416e6 * seen.mean)
    whole = _asked_for(seen.amounts(), seen, Asked(text=1e9))
    assert (whole.text, whole.documents) == (1e9, pytest.approx(1e9 / seen.mean))
    assert whole.item == seen.amounts().item  # larger corpora have more items, not larger ones
    whole = _asked_for(seen.amounts(), seen, Asked(documents=10, text=1e6))
    assert (whole.documents, whole.text) == (10, 1e6)


@pytest.mark.parametrize("flag", ["--documents", "--bytes", "--cores", "--workers"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e30", "0", "-1", "many"])
def test_amounts_that_are_no_numbers_are_refused_before_any_work(flag, value, capsys):
    code, said, error = tamiz(capsys, "plan", "t5-spanish-efficient-tiny", flag, value)
    assert (code, said) == (2, "")
    assert flag in error or "--cores" in error
    assert value in error or "1e+30" in error


def test_a_share_of_rows_that_is_no_number_is_refused(capsys):
    """It would be above no share, so that all rows might be rejected."""
    code, _, error = tamiz(capsys, "score", "--max-rejected", "nan")
    assert code == 2
    assert "'--max-rejected': nan is not in the range 0<=x<=1" in error


def test_phases_memory_and_disk_are_measured(tmp_path):
    into = Measured(stage="toy", size=LARGE)
    with watched(into, tmp_path), progress("toy") as bar:
        bar(1, 2)
        bar.phase("thinking")
        held = bytearray(b"x" * 100_000_000)
        begun = usage.cpu_seconds()
        while usage.cpu_seconds() - begun < 0.3:
            pass
        bar(2, 2)
        (tmp_path / "out").write_bytes(held[:5000])
        del held
    assert into.phases["thinking"][1] >= 0.3
    assert into.phases[""][1] < 0.3
    assert into.memory_peak - into.memory_before > 90_000_000
    assert (into.disk_bytes, into.files) == (5000, 1)


def test_bars_show_nothing_while_somebody_listens(tmp_path, capsys):
    with watched(Measured(stage="toy", size=LARGE), tmp_path), progress("toy") as bar:
        bar.phase("thinking")
        bar(1, 1)
    assert capsys.readouterr().out == ""


def _measured(size: str, text: float) -> Measured:
    return Measured(
        stage="shards",
        size=size,
        phases={"": (1 + 2 * text, 1 + 2 * text)},
        memory_before=100,
        memory_after=700,
        memory_peak=int(130 + 2 * text),
        disk_bytes=int(10 + text),
        disk_peak=int(10 + 3 * text),
        files=3,
    )


@pytest.fixture
def rehearsed(tmp_path) -> Rehearsed:
    """Of a stage whose costs are lines: in the whole, 1,000 bytes of text in 8 items, the largest of 200."""
    (tmp_path / "own.toml").write_text(RECIPE.format(input=DEMO / "clean.jsonl"))
    recipe = load(str(tmp_path / "own.toml"))
    sizes = {WARM: 1.0, SMALL: 10.0, LARGE: 40.0}
    amounts = {size: Amounts(1, text, 1, 1, text, text) for size, text in sizes.items()}
    return Rehearsed(
        cores=2,
        amounts={"shards": {**amounts, "": Amounts(100, 1000, 8, 8, 1000, 200)}},
        recipes={"": recipe, **dict.fromkeys(sizes, recipe)},
        measured={("shards", size): _measured(size, text) for size, text in sizes.items()},
        rates={"shards": 0.1},
    )


def test_a_stage_is_planned_from_two_sizes(rehearsed):
    found = planned_stage(STAGES.get("shards"), rehearsed)
    assert found.cpu_seconds == pytest.approx(1 + 2 * 1000 + 0.1 * 1000)
    assert found.seconds == pytest.approx(1 + 2 * 1000 / 2 + 0.1 * 1000 / 2)
    assert found.memory_bytes == 1.25 * (700 + 2 * (30 + 2 * 200))  # the process; two workers at the largest item
    assert found.memory == "1.25 x (700 B + 2 x 430 B) (at 200 bytes of text an item)"
    assert (found.disk_bytes, found.reads, found.writes) == (1010, 8, 2 * (3 * 8 + 8) + 3)
    assert found.scratch_bytes == pytest.approx(2000, rel=0.01)


def test_a_stage_that_failed_in_the_rehearsal_is_not_planned(rehearsed):
    rehearsed.measured["shards", SMALL].problem = "no room"
    assert planned_stage(STAGES.get("shards"), rehearsed).problem == "no room"
    del rehearsed.measured["shards", LARGE]
    assert planned_stage(STAGES.get("shards"), rehearsed).problem == "the rehearsal ended before it"


def test_the_cold_start_is_what_the_first_time_took_besides_its_work(rehearsed):
    assert cold_start(STAGES.get("shards"), rehearsed) == (0, 0)
    rehearsed.measured["shards", WARM].phases = {"": (30.0, 8.0), "compiling kernels, once": (7.0, 4.0)}
    assert cold_start(STAGES.get("shards"), rehearsed) == pytest.approx((30 - 3, 8 - 3))
    assert planned_stage(STAGES.get("shards"), rehearsed).phases[-1].cpu_seconds == 5


def test_a_rehearsal_of_every_bundled_recipe_is_a_recipe(tmp_path):
    """On the demo's documents: languages, mixtures, models that are too large to rehearse."""
    for number, name in enumerate(("bertin-gpt-j-6b", "teenytinyllama-160m", "kebyt5-small")):
        recipe = load(name, demo=True)
        stages = [stage for stage in STAGES if stage.runs_in(recipe)]
        looks = Looks(stages, 20_000)
        parts = parts_of(recipe, looks, tmp_path / str(number), 1e6)
        assert parts[SMALL].train.steps < parts[LARGE].train.steps
        assert parts[LARGE].mixture is None
        assert all(item.size for item in work_items(parts[LARGE].inputs))


def _plan(**stage: float) -> Planned:
    phases = [PlannedPhase(name="", seconds=10, cpu_seconds=8, grows_with="text 1 (linear)")]
    stages = [
        PlannedStage(stage="score", seconds=10, cpu_seconds=8, memory_bytes=2 * 10**9, phases=phases, **stage),
        PlannedStage(stage="sample", problem="no room"),
    ]
    return Planned(
        recipe="r", cores=2, documents=416e6, text_bytes=1.4e12, stored_bytes=1e12, machine="2 cores", made="now",
        rehearsed_bytes=8e6, rehearsal_seconds=90, cold_start_seconds=3, stages=stages, uncertain=["it is"],
    )  # fmt: skip


def test_a_plan_is_saved_and_read(tmp_path):
    assert planned.read(tmp_path) is None
    planned.save(_plan(), tmp_path)
    assert planned.read(tmp_path) == _plan()
    (tmp_path / "plan.json").write_bytes(b"{")
    with pytest.raises(DamagedFile, match="no plan of tamiz"):
        planned.read(tmp_path)


def test_a_plan_says_what_is_slowest_and_what_is_not_known():
    rows = lines.rows(_plan())
    assert rows[0][:4] == ("score", "0.00278", "10 s", "0.00222")
    assert rows[1][:3] == ("sample", "?", "not planned")
    said = list(lines.notes(_plan()))
    assert said[0].startswith("the slowest stage will be score: 10 s")
    assert said[-1] == "uncertain: it is"
    assert lines.title(_plan()) == "r: 416,000,000 documents, 1.4 TB of text, 2 cores"


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.21, "3.21 s"), (840, "14 min"), (19_000, "5.28 h"), (1e6, "11.6 days")]
)
def test_durations_are_readable(seconds, said):
    assert lines.duration(seconds) == said


def _log(out: Path, *events: dict[str, object]) -> None:
    (out / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + '{"event": "sta')


def test_a_stage_took_what_all_commands_took_on_it(tmp_path):
    begun = {"event": "stage", "stage": "score"}
    done = {"event": "finished", "stage": "score", "seconds": 8, "cpu_seconds": 5, "peak_memory_bytes": 10**9}
    _log(tmp_path, begun, begun, {**done, "state": "continued"}, begun, {**done, "state": "finished", "seconds": 99})
    taken = actual.took(tmp_path)
    assert taken["score"] == actual.Took(8, 5, 10**9, unended=1)
    (one,) = actual.compared(_plan(), tmp_path)
    assert (one.seconds, one.cpu_seconds, one.memory, one.counts) == (10 / 8, 8 / 5, 2, True)
    assert "begun 1 more times" in next(iter(actual.notes([one])))


@pytest.mark.slow
def test_a_run_is_shown_beside_its_plan(tmp_path, capsys):
    _write(tmp_path / "a.jsonl", _documents(1500))
    recipe, out = tmp_path / "own.toml", tmp_path / "out"
    recipe.write_text(RECIPE.format(input=tmp_path / "a.jsonl"))
    code, said, _ = tamiz(capsys, "plan", recipe, "--sample-bytes", 200_000, "--out", out, "--json")
    assert code == 0
    plan = msgspec.json.decode(said, type=Planned)
    assert plan == planned.read(out)
    assert plan.documents == pytest.approx(1500, rel=0.01)
    assert [stage.problem for stage in plan.stages] == [None, None]
    shards = plan.stages[1]
    assert tamiz(capsys, "run", recipe, "--out", out)[0] == 0
    made = sum(path.stat().st_size for path in (out / "shards").rglob("*") if path.is_file())
    assert shards.disk_bytes == pytest.approx(made, rel=0.3)
    (taken,) = [one for one in actual.compared(plan, out) if one.planned.stage == "shards"]
    assert taken.took.cpu_seconds > 0
    assert taken.took.memory_bytes > 50_000_000
    assert exit_code("verify", out) == 0
    code, said, _ = tamiz(capsys, "report", out)
    assert code == 0
    assert "Planned and taken" in said


@pytest.mark.slow
def test_a_rehearsal_ends_with_the_process_that_asked_for_it():
    code = (
        "import subprocess, sys\n"
        "wait = 'import os, threading, time, tamiz.planning.__main__ as m;'\n"
        "wait += 'threading.Thread(target=m._end_with, args=[os.getppid()], daemon=True).start();'\n"
        "wait += 'print(os.getpid(), flush=True); time.sleep(600)'\n"
        "child = subprocess.Popen([sys.executable, '-c', wait], stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode(), flush=True)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    for _ in range(600):
        if not Path(f"/proc/{said.strip()}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the rehearsal goes on without its parent")


@pytest.mark.parametrize(
    ("text", "stored", "piped", "compiled"),
    [
        (50_000_000, 20_000_000, True, True),
        (12_000_000, 4_000_000, False, True),  # packed well: few bytes to read, much text
        (5_000_000, 5_000_000, True, False),
        (1_000_000, 400_000, False, False),
    ],
)
def test_a_language_model_is_rehearsed_the_way_that_the_run_goes(text, stored, piped, compiled, monkeypatch):
    """Whatever the size of the parts: what imports Beam, or compiles, must do so in the plan, too."""
    for module in (lm_training, train_lm):
        monkeypatch.setattr(module, "SMALL_INPUT", module.SMALL_INPUT)
    STAGES.get("lm").costs.as_large(text, stored)
    for part in (1_000, 32_000_000):
        assert (part > lm_training.SMALL_INPUT) is piped
        assert (part >= train_lm.SMALL_INPUT) is compiled
