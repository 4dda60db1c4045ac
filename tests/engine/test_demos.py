"""The demos, a few steps each: from raw text to a model that its usual class loads and that writes."""

from __future__ import annotations

import importlib.util
import json

import pytest

from tamiz.verify import verify
from tests.command import tamiz
from tests.plots import blank

pytestmark = pytest.mark.slow

DEMOS = {  # a recipe -> (the class that loads its model, what it is asked, the folders of its shards)
    "t5-backbone-1.1-large": ("AutoModelForSeq2SeqLM", "masked: La panadera", ["shards"]),
    "kebyt5-base": ("AutoModelForSeq2SeqLM", "masked: 제빵사는", [f"shards/{k}" for k in ("en", "ja", "ko", "zh")]),
    "bertin-gpt-j-6b": ("AutoModelForCausalLM", "begun: La panadera", ["shards"]),
    "teenytinyllama-460m": (
        "AutoModelForCausalLM",
        "begun: A padeira",
        [f"shards/{k}" for k in ("conversations", "instructions", "plain")],
    ),
}  # fmt: skip
PLAIN = ("t5-backbone-1.1-large", "bertin-gpt-j-6b")  # whose plots are as those of test_run.py and test_demo_loss.py
SHORT = ("train.steps=2", "train.validation_batches=1", "train.batch_size=4")


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_ends_in_a_model_that_is_loaded_and_writes(name, tmp_path, capsys, monkeypatch):
    transformers = pytest.importorskip("transformers")
    if name in PLAIN:
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", blank)
    auto_class, asked, shards = DEMOS[name]
    # what a demo shows at its end doesn't depend on whether an export follows the training
    exports = ('export.to=["gguf"]',) if name == "teenytinyllama-460m" and importlib.util.find_spec("gguf") else ()
    short = [part for one in (*SHORT, *exports) for part in ("--set", one)]
    code, text, told = tamiz(capsys, "run", name, "--demo", *short, "--out", tmp_path / "run")
    assert (code, "Traceback" in told) == (0, False), told
    assert f"loaded by transformers' {auto_class}" in text
    assert asked in text
    assert "reduced for the demo, to " in text
    assert "num_layers " in text.partition("reduced for the demo")[2]
    table = text.partition("What the sieve kept")[2]
    assert all(f" {kind} " in table for kind in ("good", "navigation", "spam", "shuffled", "language", "mojibake"))
    found = sorted(folder.parent for folder in (tmp_path / "run" / "shards").rglob("train"))
    assert [str(folder.relative_to(tmp_path / "run")) for folder in found] == shards
    model = getattr(transformers, auto_class).from_pretrained(tmp_path / "run" / "model")
    metrics = json.loads((tmp_path / "run" / "model" / "metrics.json").read_bytes())
    assert sum(p.numel() for p in model.parameters()) == metrics["parameters"]
    assert verify(tmp_path / "run")[1] == []
