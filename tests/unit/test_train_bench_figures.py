"""benchmarks.train: its figures by hand, what stays when a block fails, arguments, the machine without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from unittest import mock

import psutil
import pytest
import torch

from benchmarks import train as bench
from benchmarks.train_figures import checked, markdown, pairs_of, ratios, tokens_per_cpu_second, tokens_per_second
from benchmarks.train_formulas import FORMULAS
from benchmarks.train_shapes import (
    GPTJ_6B,
    LLAMA_160M,
    LLAMA_460M,
    LLAMA_SMALLEST,
    PLAIN,
    T5_BASE,
    T5_TINY,
    TAMIZ,
    TRANSFORMERS,
    Block,
    check_blocks,
    cpu_blocks,
    gpu_blocks,
    tiny_blocks,
)
from benchmarks.train_worker import settings_of
from tests.conftest import ROOT

CPU = torch.device("cpu")
DOCUMENTS = replace(LLAMA_SMALLEST, documents=3)
FLOAT32 = {"precision": "float32"}
BLOCK = Block(LLAMA_SMALLEST, batch=4, micro=2, steps=5, warm_up=1, more=FLOAT32, losses=True)


# figures


def found(who=TAMIZ, seconds=2.0, cpu=3.0, **more):
    block = replace(BLOCK, who=who)
    timing = {"seconds": [seconds], "median": seconds, "wall": 4.0, "cpu_seconds": cpu, "waiting": 0.01,
              "joules": 51.2, "joules_by": "NVML", "peak_memory": 3_000_000_000, "losses": [2.0, 1.0]}  # fmt: skip
    return {
        "name": block.name, "block": block.asdict(), "device": "cpu", "timing": timing, "kernels": ["flash"],
        "flops_per_token": dict.fromkeys(FORMULAS, 1e6), "precision": "float32", **more,
    }  # fmt: skip


MACHINE = {"device": "NVIDIA H200", "cores": 16, "threads": 2, "torch": "2.11", "transformers": "5.17",
           "peak": 1e9, "product": 5e8, "clocks": None}  # fmt: skip


def test_speeds_by_hand():
    """4 rows of 32 ids a step: 128 in 2 s; of 4 timed steps 512 in 3 s of processors."""
    assert tokens_per_second(found()) == 64
    assert tokens_per_cpu_second(found()) == pytest.approx(512 / 3)


def test_ratios_are_of_the_same_round():
    blocks = [found(), found(TRANSFORMERS, 4.0, 3.0), found(TRANSFORMERS, 6.0, 6.0), found(TAMIZ, 2.0, 3.0)]
    (line,) = ratios(blocks)
    assert line.endswith(
        "against transformers: 2.50 (2.00 to 3.00) times as fast; by processor time 1.50 (1.00 to 2.00)"
    )
    assert [len(pairs) for pairs in pairs_of(blocks[:3]).values()] == [1]


def test_the_table():
    text = markdown({"machine": MACHINE, "checks": [], "blocks": [found(), found(problem="bad")], "left_out": ["x"]})
    share = "6.4%"  # 64 tokens/s of a million operations, of 1e9
    shares = f"{share} | {share} | {share} | {share} | 12.8%"
    row = f"| float32 | 64 | 171 | 2,000.0 | {shares} | 3.0 GB | 0.1000 (NVML) | 1.0% |"
    assert row in text
    assert f"* {BLOCK.name}: bad" in text
    assert "* x: left out, the time was over" in text
    assert "MFU of 0.0 TFLOP/s, dense bfloat16" in text
    assert "PiotrNawrot/nanoT5" in text
    assert "Nkluge-correa/Tucano" in text


def test_losses_that_differ_are_a_problem():
    other = found(PLAIN)
    other["timing"]["losses"] = [2.0, 1.0002]
    one = checked(BLOCK, found(), other)
    assert one["problem"] == "losses differ by 2.00e-04 of the plain ones, more than 0.0001"
    assert "problem" not in checked(BLOCK, found(precision="bfloat16"), other)
    assert checked(BLOCK, found(problem="bad"), other)["problem"] == "bad"


def result(figures):
    return f"noise\n{bench.RESULT}{json.dumps(figures)}\n"


def test_figures_stay_when_a_block_fails(tmp_path):
    """The JSON of each block is there before the next begins."""
    seen = []

    def run(_arguments, seconds):
        path = tmp_path / "train.json"
        seen.append(len(json.loads(path.read_bytes())["blocks"]) if path.is_file() else 0)
        answers = [(0, result(MACHINE)), (0, result(found())), (1, "Traceback\nOutOfMemoryError: 3 GiB"), (None, "x"),
                   (0, result(found()))]  # fmt: skip
        assert seconds <= 120
        return answers[len(seen) - 1]

    all_of_it = bench.Bench(tmp_path, 60, run)
    all_of_it.machine()
    for _ in range(4):
        all_of_it.block(BLOCK)
    assert seen == [0, 0, 1, 2, 3]
    problems = [one.get("problem") for one in json.loads((tmp_path / "train.json").read_bytes())["blocks"]]
    assert problems == [
        None, "exit code 1: OutOfMemoryError: 3 GiB", "it took more than 120 s; the last line: x", None
    ]  # fmt: skip
    assert all_of_it.failed
    assert "OutOfMemoryError" in (tmp_path / "train.md").read_text()


def test_what_doesnt_fit_the_time_is_left_out(tmp_path):
    now = iter([0.0, *[10.0] * 3, 59.0, 59.0, 61.0])
    asked = []

    def run(_arguments, seconds):
        asked.append(seconds)
        return 0, result(found())

    all_of_it = bench.Bench(tmp_path, 1, run, clock=lambda: next(now))
    for _ in range(3):
        all_of_it.block(BLOCK)
        next(now, None) if len(asked) == 1 else None
    assert asked == [50.0, 1.0]
    assert all_of_it.found["left_out"] == [BLOCK.name]
    assert not all_of_it.failed


@pytest.mark.parametrize(
    ("device", "ran", "problem"),
    [
        ("NVIDIA H200", ["flash"], None),
        ("NVIDIA H200", ["efficient"], "attention ran efficient, not cudnn or flash"),
        ("NVIDIA H200", [], "attention ran no fused kernel, not cudnn or flash"),
        ("cpu", [], None),
    ],
)
def test_the_kernel_is_asserted_on_a_gpu(device, ran, problem, tmp_path):
    all_of_it = bench.Bench(tmp_path, 60, lambda _a, _s: (0, result({**found(), "device": device, "kernels": ran})))
    all_of_it.block(replace(BLOCK, kernels=("cudnn", "flash")))
    assert all_of_it.found["blocks"][0].get("problem") == problem


# what is measured


def test_blocks_survive_json():
    for block in (*gpu_blocks(), *cpu_blocks(2), *tiny_blocks(), *(b for pair in check_blocks("gpu") for b in pair)):
        assert Block.of(json.loads(json.dumps(block.asdict()))) == block
        assert block.batch % block.micro == 0
        family, settings = settings_of(block)
        assert family.ids_per_row(_Facts(block.shape)) == block.shape.tokens
        assert settings.steps == block.steps


class _Facts:
    def __init__(self, shape):
        self.sequence_length, self.label_length = shape.width, shape.targets


def test_a_gpu_gets_all_shapes_within_the_time():
    blocks = gpu_blocks()
    names = {block.shape.name for block in blocks}
    assert names == {shape.name for shape in (LLAMA_160M, LLAMA_460M, T5_BASE, T5_TINY, GPTJ_6B)}
    sweep = [b for b in blocks if b.shape.name == LLAMA_160M.name and b.who == TAMIZ]
    assert {(b.micro, b.shape.documents > 1) for b in sweep} == {(64, False), (64, True), (32, False), (32, True)}
    assert {b.shape.name for b in blocks if b.who == TRANSFORMERS} == {LLAMA_160M.name, T5_BASE.name}


def test_rounds_take_turns():
    turns = [TAMIZ, TRANSFORMERS, TRANSFORMERS, TAMIZ]
    blocks = [block for block in cpu_blocks(2) if block.shape == T5_TINY]
    assert [block.who for block in blocks if block.more == FLOAT32] == turns
    assert [block.who for block in blocks if not block.more] == turns
    assert {str(block.more) for block in cpu_blocks(2, auto_is_float32=True)} == {str(FLOAT32)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rounds", "0"], "--rounds is 0; it must be at least 1"),
        (["--minutes", "-1"], "--minutes is -1; it must be at least 0"),
        (["--only", "Mamba"], "no block has 'Mamba' in its name"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_bad_arguments(arguments, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        bench.main([*arguments, "--out", str(tmp_path)], run=lambda _a, _s: (0, result({**MACHINE, "device": "cpu"})))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_run_prints_its_table_and_fails_with_a_block(tmp_path, capsys):
    def run(arguments, _seconds):
        plain = {**MACHINE, "device": "cpu"} if arguments == ["--machine"] else found()
        return 0, result(plain)

    bench.main(["--tiny", "--out", str(tmp_path)], run=run)
    assert "Published by others" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        bench.main(
            ["--tiny", "--out", str(tmp_path)], run=lambda a, s: run(a, s) if a == ["--machine"] else (1, "no")
        )
    assert ended.value.code == 1


# the machine without a network

WHAT_IT_HAS = """
import importlib.abc, importlib.machinery, sys
LACKS = {lacks!r}
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in LACKS:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""
# what tamiz's own dependencies bring, and the machine of benchmarks/gpu.sh doesn't have
LACKS = (
    "apache_beam", "datasets", "fastokens", "isal", "kenlm", "orjson", "obstore", "codecarbon", "beartype", "crcmod",
    "pymongo", "objsize", "dill", "datatrove",
)  # fmt: skip


@pytest.mark.slow
def test_the_worker_needs_no_more_than_the_script_says():
    """Of tamiz's dependencies, those that gpu.sh fetches or that it says are there."""
    code = WHAT_IT_HAS.format(lacks=LACKS) + "from benchmarks.train_worker import main; main()"
    block = replace(BLOCK, shape=DOCUMENTS, steps=3)
    ended = subprocess.run(
        [sys.executable, "-c", code, json.dumps(block.asdict())], cwd=ROOT, text=True, capture_output=True,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert bench.RESULT in ended.stdout


def test_the_script_fetches_what_is_pinned():
    script = (ROOT / "benchmarks" / "gpu.sh").read_text()
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    for name in ("msgspec", "zstandard"):
        assert name in script
        assert any(line.startswith(f"{name}==") for line in pinned)


def test_a_process_that_takes_too_long_is_ended_with_its_own():
    """Also one that it has started."""
    code = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    )
    code += "print(p.pid, flush=True); time.sleep(60)"
    with mock.patch.object(bench, "WORKER", ("-c", code)):
        ended, said = bench.in_a_process([], 8)
    assert ended is None
    assert _has_ended(int(said), seconds=20)  # a process that was killed takes a moment


def _has_ended(pid, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
