"""Training end to end on a tiny model: what it writes, what it refuses, and that interruptions leave no trace."""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from functools import partial

import msgspec
import pytest
import torch

from corpora import files
from corpora.errors import BadArgument, DamagedFile, StaleOutput, TamizError
from tamiz.cards.model import CardFacts, model_card
from tamiz.trainer import checkpoint
from tamiz.trainer.before import check_machine, room_needed
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.generation import generate
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tests import warm
from tests.conftest import ROOT
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("quick_plots")

MODEL = T5(
    vocab_size=VOCAB_SIZE, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1, dropout=0.1
)
SETTINGS = TrainSettings(
    num_threads=1,
    steps=12,
    batch_size=5,
    micro_batch_size=2,
    learning_rate=0.01,
    warmup_steps=4,
    validate_every=5,
    checkpoint_every=3,
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory, tokenizer):
    return make_shards(tmp_path_factory.mktemp("shards") / "s", tokenizer=tokenizer)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, shards, tokenizer):
    """An uninterrupted run: its folder, metrics and lines."""
    out, lines = tmp_path_factory.mktemp("model") / "m", []
    facts = CardFacts(title="Prueba", language="es", licence="apache-2.0", tags=("t5", "demo"), data={"a|b": "3"})
    card = partial(model_card, facts=facts)
    metrics = train(shards, tokenizer, out, MODEL, SETTINGS, card=card, report=lines.append)
    return out, metrics, lines


class Interrupted(Exception):
    pass


def stop_at(step):
    """A report that raises at the line of a step's validation."""

    def report(line):
        if line.startswith(f"step {step}:"):
            raise Interrupted

    return report


def test_the_folder_holds_what_is_promised(finished):
    out, metrics, lines = finished
    names = {p.name for p in out.iterdir()}
    assert names >= {"config.json", "model.safetensors", "generation_config.json", "tokenizer.json"}
    assert names >= {"tokenizer_config.json", "README.md", "loss.png", "metrics.json"}
    assert checkpoint.FOLDER in names  # until the caller has recorded all else
    assert json.loads((out / "metrics.json").read_bytes()) == metrics
    assert (metrics["steps"], metrics["tokens"]) == (12, 12 * 5 * 22)
    assert [p["step"] for p in metrics["history"] if "validation_loss" in p] == [0, 5, 10, 12]
    assert metrics["validation_loss"] < metrics["initial_validation_loss"]
    assert any(line.startswith("step 1 of 12: loss ") and "tokens/s" in line for line in lines)


def test_transformers_loads_it(finished):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    out, metrics, _ = finished
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert sum(p.numel() for p in model.parameters()) == metrics["parameters"]
    assert tokenizer.encode("palabra0 <extra_id_0>", add_special_tokens=False) == [3, VOCAB_SIZE - 1]
    filled = generate(out, "palabra0 <extra_id_0> palabra1", max_new_tokens=3)
    assert filled.startswith("palabra0 palabra")
    assert filled.endswith(" palabra1")
    with pytest.raises(BadArgument, match="no span to fill"):
        generate(out, "palabra0")


def test_the_card_says_where_it_comes_from(finished):
    import yaml

    text = (finished[0] / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert (head["language"], head["license"], head["tags"]) == ("es", "apache-2.0", ["t5", "tamiz", "demo"])
    assert "pipeline_tag" not in head  # transformers 5 has no pipeline that fills spans
    for said in (
        "# Prueba",
        "| a\\|b | 3 |",
        "(loss.png)",
        "| rows, train | 23 |",
        "| energy |",
        "target ids is 3.5000",
    ):
        assert said in text


@pytest.mark.parametrize("step", [5, 10, 12])
def test_a_run_stopped_by_an_error_ends_as_if_it_had_not(finished, shards, tokenizer, tmp_path, step):
    out, metrics, _ = finished
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=stop_at(step))
    assert not (tmp_path / "model.safetensors").exists()
    lines = []
    again = train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=lines.append)
    assert any(line.startswith("continued from step") for line in lines)
    assert files.sha256(tmp_path / "model.safetensors") == files.sha256(out / "model.safetensors")
    assert again["history"] == metrics["history"]


RUN = """
import sys, msgspec
from pathlib import Path
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
shards, tokenizer, out, model, settings = sys.argv[1:]
train(Path(shards), Path(tokenizer), Path(out), msgspec.json.decode(model, type=T5),
      msgspec.json.decode(settings, type=TrainSettings), report=lambda line: print(line, flush=True))
"""


def arguments(shards, tokenizer, out, settings):
    told = [msgspec.json.encode(value).decode() for value in (MODEL, settings)]
    return ["-c", RUN, str(shards), str(tokenizer), str(out), *told]


def test_a_run_killed_ends_as_if_it_had_not(shards, tokenizer, tmp_path):
    settings = msgspec.structs.replace(SETTINGS, steps=80, checkpoint_every=1, validate_every=0)
    whole = tmp_path / "whole"
    train(shards, tokenizer, whole, MODEL, settings, report=lambda _: None)
    out = tmp_path / "killed"
    told = arguments(shards, tokenizer, out, settings)
    process = subprocess.Popen([sys.executable, *told], cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None and not checkpoint.found(out):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "model.safetensors").exists()
    assert warm.run(told, cwd=ROOT, libraries=warm.TORCH).returncode == 0
    assert files.sha256(out / "model.safetensors") == files.sha256(whole / "model.safetensors")
    assert not list(out.rglob("*.tmp-*"))


@pytest.mark.parametrize(("keep", "steps"), [(2, [6, 9]), (1, [9]), (3, [3, 6, 9]), (9, [3, 6, 9])])
def test_as_many_checkpoints_are_kept_as_asked(shards, tokenizer, tmp_path, keep, steps):
    settings = msgspec.structs.replace(SETTINGS, keep_checkpoints=keep)
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path, MODEL, settings, report=stop_at(10))
    assert [checkpoint.number(path) for path in checkpoint.found(tmp_path)] == steps


def test_a_half_written_checkpoint_is_not_seen(shards, tokenizer, tmp_path):
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=stop_at(10))
    (tmp_path / "checkpoints/step-00000012.pt.tmp-0123456789ab").write_bytes(b"half")
    lines = []
    train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=lines.append)
    assert "continued from step 9 of 12" in lines


def flipped(data):
    """One bit of a weight, which torch doesn't notice."""
    return data[:20_000] + bytes([data[20_000] ^ 1]) + data[20_001:]


@pytest.mark.parametrize("damage", [lambda data: data[:1000], flipped, lambda _: b""])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(finished, shards, tokenizer, tmp_path, caplog, damage):
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=stop_at(10))
    newest = checkpoint.found(tmp_path)[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    lines = []
    with pytest.raises(Interrupted):
        train(
            shards, tokenizer, tmp_path, MODEL, SETTINGS, report=lambda line: (lines.append(line), stop_at(10)(line))
        )
    assert "continued from step 6 of 12" in lines
    assert f"{newest} is damaged (" in caplog.text
    assert "the training continues from the checkpoint of step 6 instead" in caplog.text
    train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=lines.append)
    assert "continued from step 9 of 12" in lines  # it was written anew
    assert files.sha256(tmp_path / "model.safetensors") == files.sha256(finished[0] / "model.safetensors")


def test_no_checkpoint_without_damage_is_said(shards, tokenizer, tmp_path):
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=stop_at(10))
    for path in checkpoint.found(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(
        DamagedFile, match=r"step-00000006\.pt is damaged, and no other checkpoint is left: pass --reb"
    ):
        train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=lambda _: None)


def test_a_later_checkpoint_than_the_newest_good_one_goes(tmp_path):
    for step in (2, 4, 6):
        checkpoint.save(tmp_path, step, {})
    checkpoint.save(tmp_path, 5, {})
    assert [checkpoint.number(path) for path in checkpoint.found(tmp_path)] == [4, 5]


def test_checkpoints_of_another_training_are_refused_by_name(shards, tokenizer, tmp_path):
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=stop_at(10))
    other = msgspec.structs.replace(SETTINGS, learning_rate=0.02)
    with pytest.raises(StaleOutput, match=r"train\.learning_rate: 0\.01 -> 0\.02.*--rebuild"):
        train(shards, tokenizer, tmp_path, MODEL, other, report=lambda _: None)


def test_a_checkpoint_from_before_other_arithmetic_is_refused(shards, tokenizer, tmp_path):
    """It would go on to other bytes than a training without interruption."""
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=stop_at(10))
    for path in checkpoint.found(tmp_path):
        state = torch.load(path, weights_only=True)
        del state["made_from"]["arithmetic"]
        torch.save(state, path)
    with pytest.raises(StaleOutput, match=r"different training \(arithmetic: default -> 3\).*--rebuild"):
        train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=lambda _: None)


def test_what_does_not_belong_together_is_refused_by_name(shards, tokenizer, tmp_path):
    smaller = msgspec.structs.replace(MODEL, vocab_size=63)
    with pytest.raises(BadArgument, match=r"model\.vocab_size is 63 but .* has 64 ids"):
        train(shards, tokenizer, tmp_path / "a", smaller, SETTINGS)
    other = make_tokenizer(tmp_path / "other", salt="x")
    with pytest.raises(BadArgument, match="is not the tokenizer of"):
        train(shards, other, tmp_path / "b", MODEL, SETTINGS)
    with pytest.raises(DamagedFile, match=r"tokenizer\.json is missing"):
        train(shards, tmp_path, tmp_path / "c", MODEL, SETTINGS)
    causal = make_shards(tmp_path / "causal", tokenizer=tokenizer, objective="causal")
    with pytest.raises(BadArgument, match="holds causal rows"):
        train(causal, tokenizer, tmp_path / "d", MODEL, SETTINGS)
    assert not any((tmp_path / name).exists() for name in "abcd")


def test_a_loss_that_is_no_number_stops_the_run(shards, tokenizer, tmp_path):
    wild = msgspec.structs.replace(SETTINGS, learning_rate=1e30, clip_norm=1e30)
    with pytest.raises(TamizError, match=r"loss is .*lower train\.learning_rate"):
        train(shards, tokenizer, tmp_path, MODEL, wild, report=lambda _: None)


def test_no_validation_rows_mean_no_validation_loss(tokenizer, tmp_path):
    made = make_shards(tmp_path / "s", tokenizer=tokenizer, rows={"train": 23, "validation": 0})
    metrics = train(made, tokenizer, tmp_path / "m", MODEL, SETTINGS, report=lambda _: None)
    assert (metrics["initial_validation_loss"], metrics["validation_loss"]) == (None, None)


@pytest.mark.parametrize("checkpoint_every", [0, 3])
def test_a_full_disk_is_said(shards, tokenizer, tmp_path, checkpoint_every):
    """A bound on file sizes stands in for it: model.safetensors has 25 kB, a checkpoint 100 kB."""
    settings = msgspec.structs.replace(SETTINGS, steps=4, checkpoint_every=checkpoint_every)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(TamizError, match="can't write"):
            train(shards, tokenizer, tmp_path, MODEL, settings, report=lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "export"]


def test_a_full_disk_at_a_checkpoint_is_said_with_bytes_and_costs_no_earlier_one(shards, tokenizer, tmp_path):
    """The bound on file sizes comes after the first checkpoint."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def report(line):
        if line.startswith("step 5:"):  # there is a checkpoint of step 3
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))

    try:
        with pytest.raises(TamizError) as error:
            train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert re.fullmatch(
        r"can't write \S+/step-00000006\.pt: File too large: needs 8\d,\d{3} bytes, more than a file may have here "
        r"\(by `ulimit -f`, or by the kind of disk\); the same command continues from step 3",
        str(error.value),
    )
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003.pt"]
    lines = []
    train(shards, tokenizer, tmp_path, MODEL, SETTINGS, report=lines.append)
    assert "continued from step 3 of 12" in lines


def test_a_full_disk_at_the_last_checkpoint_costs_no_model(shards, tokenizer, tmp_path, caplog):
    """The bound on file sizes lies between the curve, 71 kB, and the checkpoint, 117 kB."""
    settings = msgspec.structs.replace(SETTINGS, steps=4, checkpoint_every=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        train(shards, tokenizer, tmp_path, MODEL, settings, report=lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the last checkpoint isn't kept, so more steps can't continue this training: can't write" in caplog.text
    assert (tmp_path / "model.safetensors").is_file()
    assert not checkpoint.found(tmp_path)


def test_checkpoints_are_written_by_the_clock_too(shards, tokenizer, tmp_path):
    """With no bytes changed, and by neither if neither is wanted."""
    by_clock = msgspec.structs.replace(SETTINGS, checkpoint_every=0, checkpoint_minutes=1e-9)
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path / "a", MODEL, by_clock, report=stop_at(10))
    assert [checkpoint.number(path) for path in checkpoint.found(tmp_path / "a")] == [8, 9]
    never = msgspec.structs.replace(SETTINGS, checkpoint_every=0, checkpoint_minutes=0.0)
    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path / "b", MODEL, never, report=stop_at(10))
    assert not checkpoint.found(tmp_path / "b")


def test_room_is_asked_for_before_any_work(tmp_path):
    huge = msgspec.structs.replace(MODEL, vocab_size=10**12)
    with pytest.raises(
        TamizError, match=r"needs \d+\.\d [GT]B for the model and its checkpoints, but \d.* are free there"
    ):
        check_machine(tmp_path / "m" / "n", huge, SETTINGS)
    assert not (tmp_path / "m").exists()
    weights = 4 * 1000
    assert room_needed(tmp_path, 1000, SETTINGS) == weights + 3 * 3 * weights
    never = msgspec.structs.replace(SETTINGS, checkpoint_every=0, checkpoint_minutes=0.0)
    assert room_needed(tmp_path, 1000, never) == weights + 3 * weights
    assert room_needed(tmp_path, 1000, msgspec.structs.replace(never, keep_checkpoint=False)) == weights


def test_the_length_is_said_before_and_the_time_left_on_the_way(finished):
    lines = finished[2]
    assert "12 steps of 110 ids = 1,320 ids, 3.0 epochs of 4 steps" in lines
    assert any(re.match(r"a checkpoint takes 7\d\.\d kB, all files \d+\.\d kB at most; ", line) for line in lines)


def test_torch_is_left_as_it_was(shards, tokenizer, tmp_path):
    torch.manual_seed(3)

    def how():
        return (
            torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(), torch.utils.deterministic.fill_uninitialized_memory,
            gc.isenabled(), gc.get_freeze_count(),
        )  # fmt: skip

    before, random = how(), torch.get_rng_state()
    train(shards, tokenizer, tmp_path, MODEL, msgspec.structs.replace(SETTINGS, num_threads=3), report=lambda _: None)
    assert how() == before
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.skipif(os.environ.get("CUDA_VISIBLE_DEVICES") == "" or torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_said(shards, tokenizer, tmp_path):
    with pytest.raises(BadArgument, match=r"train\.device is 'cuda' but torch finds no GPU"):
        train(shards, tokenizer, tmp_path, MODEL, msgspec.structs.replace(SETTINGS, device="cuda"))
