"""What is published loads by its name, equal to the local one: a sample, a tokenizer and a model."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from tamiz.stages.common import Context
from tamiz.stages.train import train_stage
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.settings import TrainSettings
from tests.command import exit_code, tamiz
from tests.conftest import ROOT
from tests.loopback_hub import LoopbackHub
from tests.make_scores import documents, write_scored
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer
from tests.uploads import client, local, remote

LOADS = """
import hashlib, json, sys
from datasets import load_dataset
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
corpus, tokenizer, model = sys.argv[1:]
rows = load_dataset(corpus, split="train")
stream = load_dataset(corpus, split="train", streaming=True)
weights = AutoModelForSeq2SeqLM.from_pretrained(model).state_dict()
digest = hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights)))
print(json.dumps({
    "rows": rows.to_list(), "stream": list(stream), "weights": digest.hexdigest(),
    "ids": AutoTokenizer.from_pretrained(tokenizer)("Un árbol verde y tres peces.")["input_ids"],
}, default=str))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("made")
    rows = documents(random.Random(3), "a", 120, 60.0)
    patterns, scores = write_scored(home / "raw", {"a.jsonl": rows}, {"a.jsonl": "es"})
    for arguments in (
        ("sample", "--input", *patterns, "--scores", scores, "--keep", "0.5", "--out", home / "sampled"),
        ("tokenizer", "train", "--kind", "bytes", "--input", *patterns, "--out", home / "tokenizer"),
    ):
        assert exit_code(*arguments) == 0
    words = make_tokenizer(home / "words")
    shape = T5(vocab_size=VOCAB_SIZE, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1)
    settings = TrainSettings(steps=1, batch_size=2, num_threads=1, device="cpu", warmup_steps=0)
    train_stage(make_shards(home / "shards", tokenizer=words), words, home / "model", shape, settings, Context())
    return home


@pytest.fixture(scope="module")
def known(folders):
    """What the local folders hold."""
    return loaded(None, *(str(folders / name) for name in ("sampled", "tokenizer", "model")))


def loaded(environment, *names):
    done = subprocess.run(
        [sys.executable, "-c", LOADS, *names], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("way", ["lfs", "xet"])
def test_a_sample_a_tokenizer_and_a_model_load_by_name(tmp_path, capsys, folders, known, way):
    with LoopbackHub(way, tmp_path / "hub") as hub:
        for folder, name, kind in (
            ("sampled", "me/corpus", "dataset"),
            ("tokenizer", "me/tokenizer", "model"),
            ("model", "me/model", "model"),
        ):
            with client(hub):
                assert tamiz(capsys, "upload", folders / folder, "--repo", name)[0::2] == (0, "")
            aside = ("log.jsonl", "checkpoints/", ".tamiz.lock")
            whole = {path: content for path, content in local(folders / folder).items() if not path.startswith(aside)}
            assert remote(hub, name, kind) == whole
        found = loaded(hub.environment("reader"), "me/corpus", "me/tokenizer", "me/model")
    assert found == known
    assert found["stream"] == found["rows"]
    assert len(found["rows"]) > 30
