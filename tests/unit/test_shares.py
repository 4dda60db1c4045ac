"""`--share I/N`: independent runs on one output end in the bytes of one run, whoever is killed, whoever ends last."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from corpora import locks, manifest
from corpora.documents.item import WorkItem
from corpora.errors import BadArgument, ShareDone, StaleOutput
from corpora.locks import InUse, locked, named_share
from corpora.manifest import MadeFrom
from corpora.parted import parts
from corpora.verify import verify
from pipelines.accounts import input_identities
from pipelines.settings import RunnerSettings
from pipelines.stage import Pass, run_stage
from tests.command import tamiz
from tests.conftest import digests
from tests.unit import test_passes
from tests.unit.test_passes import KeyWork, MarkWork, RepeatWork, items, run  # noqa: F401 (a fixture)


def share(out: Path, items: list[WorkItem], number: int, of: int) -> str:  # noqa: F811
    made_from = MadeFrom(stage="repeats", algorithm=1, settings={}, inputs=input_identities(items, out))
    passes = [Pass(KeyWork(str(out)), items), Pass(RepeatWork(str(out)), parts()), Pass(MarkWork(str(out)), items)]
    return run_stage(out, made_from, passes, RunnerSettings(share=(number, of))).state


def test_the_last_share_finishes_with_the_bytes_of_one_run(items, tmp_path):  # noqa: F811
    run(tmp_path / "whole", items)
    out = tmp_path / "out"
    test_passes._log.clear()
    with pytest.raises(ShareDone, match=r"share 2/3 is done; 3 of 4 units .* first is in0.jsonl of share 1/3"):
        share(out, items, 2, 3)
    with pytest.raises(ShareDone, match=r"1 of 4 units .* first is in2.jsonl of share 3/3"):
        share(out, items, 1, 3)
    with pytest.raises(ShareDone):
        share(out, items, 1, 3)  # twice is harmless
    assert share(out, items, 3, 3) == "continued"
    assert share(out, items, 2, 3) == "finished"
    assert sorted(Counter(test_passes._log).values()) == [1] * 72
    whole, found = digests(tmp_path / "whole"), digests(out)
    assert {k: v for k, v in found.items() if k != manifest.NAME} == {
        k: v for k, v in whole.items() if k != manifest.NAME
    }
    assert manifest.read(out).counts == manifest.read(tmp_path / "whole").counts
    assert verify(out)[1] == []


def test_a_share_of_other_inputs_is_refused_and_clears_nothing(items, tmp_path):  # noqa: F811
    """Results that are only steps on the way, such as counts of words, are hours of work of other shares."""
    with pytest.raises(ShareDone):
        share(tmp_path / "out", items, 1, 2)
    with pytest.raises(
        StaleOutput, match=r"something else \(input gone: in3.jsonl\); all shares need the same inputs"
    ):
        share(tmp_path / "out", items[:-1], 2, 2)
    assert share(tmp_path / "out", items, 2, 2) == "continued"


def test_a_plain_run_finishes_what_shares_left(items, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    with pytest.raises(ShareDone):
        share(out, items, 1, 2)
    test_passes._log.clear()
    run(out, items)
    assert sum(name.startswith("keys") for name in test_passes._log) == 2
    assert manifest.read(out).finished


def test_shares_work_side_by_side_and_a_plain_run_is_refused(items, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    holder = """
import sys, pathlib
from corpora.locks import locked
with locked(pathlib.Path(sys.argv[1]), "score", shared=True):
    print("held", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", holder, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        temporary = out / "in3.jsonl.json.tmp-0123456789ab"  # of the other share
        temporary.write_bytes(b"")
        with pytest.raises(
            ShareDone, match=r"the share that ends last finishes .* is in use by tamiz .*since ..:..\)\)$"
        ):
            share(out, items, 1, 4)
        assert temporary.exists()
        with pytest.raises(InUse):
            run(out, items)
        other.communicate()
    run(out, items)
    assert not temporary.exists()


def test_a_share_waits_for_one_that_looks_alone_or_finishes(tmp_path, caplog, monkeypatch):
    """A job array starts a task in the second in which another ends; one that fails blocks what depends on it."""
    monkeypatch.setattr(locks, "_TOLD", 0.3)
    holder = """
import sys, pathlib, time
from corpora.locks import locked, named_share
with locked(pathlib.Path(sys.argv[1]), named_share("score", (1, 4)) if sys.argv[2] == "share" else "score"):
    print("held", flush=True)
    sys.stdin.readline()
    print("over", flush=True)
"""
    for kind in ("plain", "share"):
        command = [sys.executable, "-c", holder, str(tmp_path), kind]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdout.readline()
            if kind == "plain":
                with pytest.raises(InUse), locked(tmp_path, "score --share 2/4", shared=True):
                    pass
                continue
            ending = threading.Timer(1, lambda: other.stdin and (other.stdin.write("end\n"), other.stdin.flush()))
            ending.start()
            with locked(tmp_path, named_share("score", (2, 4)), shared=True):
                assert other.stdout.readline() == "over\n"
            assert "waiting for tamiz score --share 1/4 (pid" in caplog.text


def test_a_lock_that_is_shared_goes_with_its_last_holder(tmp_path):
    with locked(tmp_path, "one", shared=True):
        (lock,) = tmp_path.iterdir()
        code = "import sys, pathlib; from corpora.locks import locked\n"
        code += "with locked(pathlib.Path(sys.argv[1]), 'x', shared=True): pass"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert lock.exists()
    assert not lock.exists()


@pytest.mark.parametrize("value", ["0/4", "5/4", "1", "a/b", "1/0"])
def test_a_share_that_cannot_be_is_refused(value, tmp_path, capsys):
    given = ["score", "--input", "x.jsonl", "--lm", "x.bin", "--out", str(tmp_path / "out"), "--share", value]
    code, _, errors = tamiz(capsys, *given)
    assert code == 2
    assert "--share is" in errors


def test_rebuild_and_share_exclude_each_other():
    import click

    from tamiz.options import pipeline_options, runner_settings

    @click.command()
    @pipeline_options
    def command(ctx: click.Context, workers: int, runner: str, rebuild: bool, max_rejected: float) -> None:  # noqa: ARG001
        raise SystemExit(str(runner_settings(ctx, runner, workers).share))

    with pytest.raises(BadArgument, match="leave out --share"):
        command.main(["--share", "1/2", "--rebuild"], standalone_mode=False)
    with pytest.raises(SystemExit, match=r"\(2, 3\)"):
        command.main(["--share", "2/3"], standalone_mode=False)


def test_a_stage_that_cannot_be_parted_is_left_to_the_first_share(tmp_path, capsys):
    given = ["run", "t5-spanish-efficient-tiny", "--demo", "--out", tmp_path / "run", "--until", "score"]
    code, out, errors = tamiz(capsys, *given, "--share", "2/2")
    assert (code, errors) == (0, "")
    assert "share 2/2 ends before lm, whose work can't be parted: share 1/2 does it" in out
    assert not (tmp_path / "run" / "lm").exists()
