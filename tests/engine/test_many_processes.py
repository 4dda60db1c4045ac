"""Trainings in several processes, which torchrun starts: they equal one process, continue on any number of
processes, and end together."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import pytest
import torch
from safetensors.torch import load_file

from corpora.errors import BadArgument
from tamiz.trainer import checkpoint
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.parallel import blocks
from tamiz.trainer.ranks import Place, Ranks, check_ranks, is_lost
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import share
from tests.command import tamiz
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer
from tests.many_processes import Training, run

pytestmark = pytest.mark.usefixtures("quick_plots")

ROOT = Path(__file__).resolve().parents[2]
BOUND = 1e-6
MODELS = {
    "t5": T5(
        vocab_size=VOCAB_SIZE, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=2, num_decoder_layers=1,
        dropout=0.0,
    ),
    "llama": Llama(
        vocab_size=VOCAB_SIZE, hidden_size=16, intermediate_size=32, num_layers=2, num_heads=2,
        max_position_embeddings=32,
    ),
}  # fmt: skip
SETTINGS = TrainSettings(
    steps=4,
    batch_size=8,
    micro_batch_size=2,
    num_threads=1,
    validate_every=0,
    checkpoint_every=2,
    precision="float32",
)


@dataclass
class Home:
    """A folder with a tokenizer, and shards for each family."""

    path: Path

    def training(
        self, name: str, out: str, parallel: str = "ddp", until: int | None = None, **shape: float
    ) -> Training:
        return Training(
            shards=str(self.path / name),
            tokenizer=str(self.path / "tokenizer"),
            out=str(self.path / f"{name}-{out}"),
            model=msgspec.to_builtins(msgspec.structs.replace(MODELS[name], **shape)),
            settings=msgspec.to_builtins(msgspec.structs.replace(SETTINGS, parallel=parallel)),
            until=until,
        )

    def weights(self, name: str, out: str) -> dict[str, torch.Tensor]:
        return load_file(self.path / f"{name}-{out}" / "model.safetensors")

    def history(self, name: str, out: str) -> list[dict[str, float]]:
        return json.loads((self.path / f"{name}-{out}" / "metrics.json").read_bytes())["history"]

    def launch(self, *arguments: object) -> subprocess.Popen[str]:
        """torchrun with two processes; stderr has the lines of all."""
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", *map(str, arguments)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What the processes have written, once they have ended; a test that fails leaves none behind."""
    try:
        return process.communicate(timeout=300)
    finally:
        process.terminate()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    path = tmp_path_factory.mktemp("many")
    tokenizer = make_tokenizer(path / "tokenizer")
    rows = {"train": 23, "validation": 7}  # seven rows: two processes validate four and three
    make_shards(path / "t5", tokenizer=tokenizer, rows=rows)
    make_shards(path / "llama", tokenizer=tokenizer, rows=rows, objective="causal", widths=(17, 6))
    return Home(path)


@pytest.fixture(scope="module")
def trained(home):
    """Trainings of both families in one process, in two, and begun in one and ended in the other."""
    for name in MODELS:
        run(home.training(name, "one"))
    run(home.training("t5", "one-to-fsdp", until=3))
    run(home.training("llama", "one-to-ddp", until=3))
    many = [home.training(name, way, way) for name in MODELS for way in ("ddp", "fsdp")]
    many += [
        home.training("t5", "one-to-fsdp", "fsdp"),
        home.training("llama", "one-to-ddp"),
        home.training("t5", "ddp-to-one", until=3),
        home.training("llama", "fsdp-to-one", "fsdp", until=3),
        home.training("t5", "random", dropout=0.3),
        home.training("t5", "random-again", until=3, dropout=0.3),
        home.training("t5", "random-again", dropout=0.3),
    ]
    (home.path / "many.json").write_bytes(msgspec.json.encode(many))
    process = home.launch("tests.many_processes", home.path / "many.json")
    _, error = ended(process)
    assert process.returncode == 0, error
    run(home.training("t5", "ddp-to-one"))
    run(home.training("llama", "fsdp-to-one"))
    return home


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("t5", "ddp"), ("t5", "fsdp"), ("t5", "one-to-fsdp"), ("t5", "ddp-to-one"),
        ("llama", "ddp"), ("llama", "fsdp"), ("llama", "one-to-ddp"), ("llama", "fsdp-to-one"),
    ],
)  # fmt: skip
def test_two_processes_equal_one(trained, name, out):
    one, two = trained.weights(name, "one"), trained.weights(name, out)
    assert one.keys() == two.keys()
    assert max(float((one[key] - two[key]).abs().max()) for key in one) < BOUND
    fresh = MODELS[name].build(seed=0).state_dict()
    assert max(float((one[key] - fresh[key]).abs().max()) for key in one) > 1000 * BOUND  # it has learned
    points, others = trained.history(name, "one"), trained.history(name, out)
    assert [p.keys() for p in points] == [p.keys() for p in others]
    assert len(points) == SETTINGS.steps + 2
    assert all(abs(p[key] - q[key]) < BOUND for p, q in zip(points, others, strict=True) for key in p)


def test_dropout_after_an_interruption_is_as_without(trained):
    whole, again = trained.weights("t5", "random"), trained.weights("t5", "random-again")
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    without = trained.weights("t5", "ddp")
    assert not all(torch.equal(whole[key], without[key]) for key in whole)


def test_a_checkpoint_is_that_of_one_process(trained):
    one, two = (
        torch.load(checkpoint.found(trained.path / f"t5-{out}")[-1], weights_only=True) for out in ("one", "fsdp")
    )
    assert checkpoint.num_bytes(one["model"]) == checkpoint.num_bytes(two["model"])  # tied weights are stored once
    assert one["data"] == two["data"]
    for number, values in one["optimizer"]["state"].items():
        for key, value in values.items():
            torch.testing.assert_close(two["optimizer"]["state"][number][key], value, atol=BOUND, rtol=0)


def start(home, out, settings):
    """`tamiz train` in two processes, once they are trained together."""
    model = msgspec.to_builtins(MODELS["t5"])
    text = "[model]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in model.items())
    (home.path / f"{out}.toml").write_text(text + "[train]\n" + settings)
    return home.launch(
        "tamiz", "train", "--shards", home.path / "t5", "--model", home.path / f"{out}.toml", "--out", home.path / out
    )


def children(process):
    """The processes of a torchrun, by rank."""
    found = psutil.Process(process.pid).children()
    return sorted(found, key=lambda child: int(child.environ()["RANK"]))


def wait_for_checkpoint(process, out, after=0):
    while not any(checkpoint.number(path) > after for path in checkpoint.found(out)):
        assert process.poll() is None, ended(process)
        time.sleep(0.05)


def errors(text):
    return [line for line in text.splitlines() if line.startswith("error: ")]


LONG = "steps = 100000\nbatch_size = 4\nnum_threads = 1\nvalidate_every = 0\ncheckpoint_every = 5\n"


def test_processes_stop_and_end_together(home):
    """A signal to one process ends both with the same step; after SIGKILL of one, the other ends by itself."""
    out = home.path / "long"
    process = start(home, "long", LONG)
    wait_for_checkpoint(process, out)
    children(process)[1].send_signal(signal.SIGTERM)
    _, text = ended(process)
    (said,) = errors(text)
    step = checkpoint.number(checkpoint.found(out)[-1])
    assert f"stopped; kept: step {step:,} of 100,000; the same command continues" in said
    assert len(re.findall(r"exitcode +: 143 ", text)) == 2
    assert "Traceback" not in text.partition(said)[0]

    process = start(home, "long", LONG)
    wait_for_checkpoint(process, out, after=step)
    first, second = children(process)
    second.kill()
    first.wait(timeout=60)
    output, text = ended(process)
    assert f"continued from step {step:,} of" in output
    (said,) = errors(text)
    assert "another process of this training has ended (killed, or out of memory)" in said
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [event["exit_code"] for event in events if event["event"] == "end"] == [143, 1]


@pytest.mark.parametrize(
    ("case", "said", "codes"),
    [
        ("loses", "another process .* has ended", [1, -9]),
        ("goes on", "SIGTERM: torchrun", [143, -9]),
        ("blocked", "SIGTERM: torchrun", [143, 143]),
        ("first", "SIGTERM: torchrun", [-9, 143]),
        ("error", "the cause", [143, 1]),
    ],
)
def test_why_a_process_ends_is_said_once_though_it_is_slow(home, case, said, codes):
    """torchrun's SIGTERM comes while a process clears up after a lost connection, or knows of nothing."""
    process = home.launch("tests.lost_process", case)
    _, text = ended(process)
    (line,) = errors(text)
    assert re.match(f"error: {said}", line)
    assert sorted(map(int, re.findall(r"exitcode +: (-?\d+) ", text))) == sorted(codes)


def test_a_loss_that_is_not_finite_is_said_once(home):
    process = start(
        home, "nan", "steps = 4\nbatch_size = 4\nlearning_rate = 1e30\nnum_threads = 1\nmax_skipped_steps = 0\n"
    )
    output, text = ended(process)
    (said,) = errors(text)
    assert "lower train.learning_rate" in said
    assert output.count("parameters on cpu") == 1
    assert len(re.findall(r"exitcode +: 1 ", text)) == 2


def test_batches_that_processes_cannot_share_are_refused():
    check_ranks(8, 4)
    with pytest.raises(
        BadArgument, match=r"batch_size is 8, which 3 processes .* evenly: set it to 6 or 9, or start"
    ):
        check_ranks(8, 3)
    with pytest.raises(BadArgument, match=r"batch_size is 2, which 4 processes .* evenly: set it to 4, or start"):
        check_ranks(2, 4)


def torchrun(monkeypatch, **variables):
    for name, value in {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 2, **variables}.items():
        monkeypatch.setenv(name, str(value))


def test_a_run_in_several_processes_is_refused(monkeypatch, capsys):
    torchrun(monkeypatch, MASTER_ADDR="localhost")
    code, out, error = tamiz(capsys, "run", "t5-spanish-efficient-tiny", "--demo")
    assert (code, out, len(error.splitlines())) == (2, "", 1)
    assert "works in one process, but torchrun has started 2: prepare with `tamiz run RECIPE --out DIR" in error


def test_an_environment_that_is_not_whole_is_named(monkeypatch):
    assert Place.here() == Place()
    torchrun(monkeypatch, RANK="", MASTER_ADDR="localhost")
    with pytest.raises(BadArgument, match=r"the environment has RANK='', WORLD_SIZE='2', .* start .* with torchrun"):
        Place.here()
    torchrun(monkeypatch, WORLD_SIZE=1)
    assert Place.here().world_size == 1


def test_rows_are_shared_out_evenly():
    """Each row once; rows without targets fill up."""
    prepared = {"input_ids": torch.arange(14).reshape(7, 2), "targets": torch.arange(7).reshape(7, 1)}
    parts = [share(prepared, rank, 3) for rank in range(3)]
    assert [len(part["input_ids"]) for part in parts] == [3, 3, 3]
    targets = sorted(int(n) for part in parts for n in part["targets"])
    assert targets == [-100, -100, *range(7)]
    assert prepared["targets"].tolist() == [[n] for n in range(7)]


@pytest.mark.parametrize(("name", "layers"), [("t5", 3), ("llama", 2)])
def test_blocks_are_the_layers(name, layers):
    found = list(blocks(MODELS[name].build(seed=0)))
    assert len(found) == layers
    assert {type(block).__name__ for block in found} == {"T5Block" if name == "t5" else "LlamaDecoderLayer"}


def test_one_process_gets_back_what_it_gives():
    ranks = Ranks()
    assert (ranks.sum(3), ranks.most(2, 1), ranks.told("a"), ranks.together(lambda: 5)) == (3, (2, 1), "a", 5)
    assert isinstance(ranks.sum(3), int)
    assert is_lost(RuntimeError("[gloo] Connection closed by peer"))
    assert not is_lost(RuntimeError("CUDA out of memory"))


def test_how_processes_share_the_model_is_no_part_of_what_it_is():
    settings = TrainSettings(steps=1)
    assert settings.identity() == msgspec.structs.replace(settings, parallel="fsdp").identity()
