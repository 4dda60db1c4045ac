"""The energy of a training: with codecarbon where it is installed, without it, and over interruptions."""

from __future__ import annotations

import json
import logging
import sys
from functools import partial
from importlib.util import find_spec

import msgspec
import pytest

from corpora.errors import BadArgument
from tamiz.cards.model import CardFacts, model_card
from tamiz.trainer import checkpoint
from tamiz.trainer.before import check_machine
from tamiz.trainer.energy import NOT_MEASURED, Energy
from tamiz.trainer.energy_meter import EnergyMeter
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("quick_plots")

MODEL = Llama(vocab_size=VOCAB_SIZE, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2)
SETTINGS = TrainSettings(num_threads=1, steps=4, batch_size=5, warmup_steps=2, validate_every=0, checkpoint_every=2)
needs_codecarbon = pytest.mark.skipif(find_spec("codecarbon") is None, reason="needs codecarbon: tamiz[energy]")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    make_shards(folder / "shards", tokenizer=make_tokenizer(folder / "tokenizer"), objective="causal")
    return folder


@pytest.fixture
def without(monkeypatch):
    """As where codecarbon isn't installed."""
    monkeypatch.setitem(sys.modules, "codecarbon", None)


def go(home, out, settings=SETTINGS, done=lambda _step, _steps: None):
    card = partial(model_card, facts=CardFacts())
    return train(
        home / "shards", home / "tokenizer", out, MODEL, settings, card=card, report=lambda _: None, done=done
    )


class Interrupted(Exception):
    pass


def stop(step, _steps):
    if step == 3:
        raise Interrupted


@pytest.mark.usefixtures("without")
def test_without_codecarbon_a_cpu_is_not_measured_and_the_card_says_so(home, tmp_path):
    metrics = go(home, tmp_path)
    assert {metrics[name] for name in ("energy_kwh", "energy_cpu_kwh", "co2_kg", "energy_by")} == {None}
    assert f"| energy | {NOT_MEASURED} |" in (tmp_path / "README.md").read_text()


@pytest.mark.usefixtures("without")
def test_a_country_without_codecarbon_is_warned_of(caplog):
    meter = EnergyMeter("BRA")
    with caplog.at_level(logging.WARNING):
        meter.start()
    assert "train.country is BRA, but codecarbon is not installed: there will be no CO2" in caplog.text
    assert meter.stop().kwh is None


def test_only_the_first_process_measures(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    meter = EnergyMeter()
    meter.start()
    assert meter.stop() == Energy()


def test_sums_leave_out_what_is_not_known():
    first = Energy(seconds=10.0, cpu_kwh=1.0, ram_kwh=0.5, co2_kg=0.2, by="codecarbon", estimated=True)
    second = Energy(seconds=5.0, cpu_kwh=2.0, gpu_kwh=4.0, interruptions=1)
    both = first.plus(second)
    assert both == Energy(
        seconds=15.0, cpu_kwh=3.0, gpu_kwh=4.0, ram_kwh=0.5, co2_kg=0.2, by="codecarbon", estimated=True,
        interruptions=1,
    )  # fmt: skip
    assert both.kwh == 7.5
    assert Energy().kwh is None
    facts = both.facts(tokens=1000)
    assert facts["energy_joules_per_token"] == 7.5 * 3.6e6 / 1000
    assert Energy().facts(1000)["energy_joules_per_token"] is None


@pytest.mark.usefixtures("without")
def test_the_energy_of_earlier_runs_is_carried_through_a_checkpoint(home, tmp_path):
    """Here a checkpoint as one with codecarbon writes it."""
    import torch

    with pytest.raises(Interrupted):
        go(home, tmp_path, done=stop)
    path = checkpoint.found(tmp_path)[-1]
    state = torch.load(path, weights_only=True)
    spent = Energy(seconds=60.0, cpu_kwh=2e-3, ram_kwh=1e-3, by="codecarbon", estimated=True, co2_kg=3e-4)
    torch.save(state | {"energy": spent.asdict()}, path)
    metrics = go(home, tmp_path, msgspec.structs.replace(SETTINGS, country="BRA"))
    assert (metrics["energy_kwh"], metrics["energy_interruptions"], metrics["country"]) == (3e-3, 1, "BRA")
    card = (tmp_path / "README.md").read_text()
    for said in (
        "| energy | 0.003000 kWh over 60 s (codecarbon) |",
        "| energy, processor | 0.002000 kWh, estimated, not measured |",
        "| energy, GPU | not measured |",
        "| energy, memory | 0.001000 kWh, estimated, not measured |",
        "| CO2 equivalents | 0.000300 kg, of the mean kWh in BRA |",
        "| not in the energy | the training was continued once: what it did after its last checkpoint isn't",
    ):
        assert said in card
    assert metrics["energy_joules_per_token"] == pytest.approx(3e-3 * 3.6e6 / metrics["tokens"])


def test_a_checkpoint_from_before_has_no_energy(home, tmp_path):
    import torch

    with pytest.raises(Interrupted):
        go(home, tmp_path, done=stop)
    path = checkpoint.found(tmp_path)[-1]
    state = torch.load(path, weights_only=True)
    torch.save({name: value for name, value in state.items() if name not in ("energy", "bad_batches")}, path)
    assert go(home, tmp_path)["energy_interruptions"] == 1


@needs_codecarbon
def test_codecarbon_measures_by_component_and_converts_to_co2(home, tmp_path):
    metrics = go(home, tmp_path, msgspec.structs.replace(SETTINGS, country="BRA"))
    assert metrics["energy_by"] == "codecarbon"
    parts = [metrics[f"energy_{name}_kwh"] for name in ("cpu", "gpu", "ram")]
    assert metrics["energy_kwh"] == pytest.approx(sum(parts))
    assert metrics["energy_ram_kwh"] > 0
    assert metrics["co2_kg"] / metrics["energy_kwh"] == pytest.approx(0.098, abs=0.02)  # BRA: 98 g/kWh
    assert metrics["energy_seconds"] > 0
    assert json.loads((tmp_path / "metrics.json").read_bytes())["energy_kwh"] == metrics["energy_kwh"]
    assert "kg, of the mean kWh in BRA |" in (tmp_path / "README.md").read_text()


@needs_codecarbon
def test_codecarbon_without_a_country_gives_no_co2_and_goes_on_after_an_interruption(home, tmp_path):
    import torch

    with pytest.raises(Interrupted):
        go(home, tmp_path, done=stop)
    before = torch.load(checkpoint.found(tmp_path)[-1], weights_only=True)["energy"]
    assert before["ram_kwh"] > 0
    metrics = go(home, tmp_path)
    assert metrics["co2_kg"] is None
    assert metrics["energy_ram_kwh"] > before["ram_kwh"]
    assert metrics["energy_seconds"] > before["seconds"]


@needs_codecarbon
def test_a_country_that_codecarbon_does_not_know_is_refused_before_any_work(tmp_path):
    with pytest.raises(BadArgument, match=r"train\.country is 'XYZ', which codecarbon has no figures for"):
        check_machine(tmp_path / "m", MODEL, msgspec.structs.replace(SETTINGS, country="XYZ"))
    assert not (tmp_path / "m").exists()
