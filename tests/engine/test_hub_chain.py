"""From documents on a Hub that fails often, over a sieve and a model, back to the Hub, and loaded from there."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from corpora.files import sha256
from tests.command import exit_code
from tests.loopback_hub import LoopbackHub
from tests.uploads import client

RECIPE = "t5-spanish-efficient-tiny"
FILES = 5
SMALL = ("--set", "train.steps=2", "--set", "train.validate_every=2", "--set", "train.batch_size=4")
# what a stranger does with the three repositories, in a process with a cache of its own
STRANGER = """
import json, sys
from datasets import load_dataset
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
texts = sys.argv[1]
whole = load_dataset("me/sample", split="train")
streamed = [row["text"] for row in load_dataset("me/sample", split="train", streaming=True)]
model = AutoModelForSeq2SeqLM.from_pretrained("me/tiny")
weights = {name: float(value.double().abs().sum()) for name, value in model.state_dict().items()}
words = AutoTokenizer.from_pretrained("me/words")
ids = [words(text)["input_ids"] for text in json.loads(texts)]
print(json.dumps([whole["text"] == streamed, streamed, ids, weights]))
"""


def mc4() -> dict[str, bytes]:
    """The demo's documents in files that are named and shaped as mC4's."""
    documents = (files("tamiz.recipes") / "demo" / "documents.jsonl").read_bytes().splitlines(keepends=True)
    parts = [documents[n::FILES] for n in range(FILES)]
    return {
        f"multilingual/c4-es.tfrecord-{n:05d}-of-{FILES:05d}.json.gz": gzip.compress(b"".join(part), mtime=0)
        for n, part in enumerate(parts)
    }


def run(environment: dict[str, str], *arguments: object) -> str:
    command = [sys.executable, "-c", "from tamiz.start import main; main()", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def recipe(environment: dict[str, str], pattern: str, out: Path, until: str) -> None:
    text = f"documents.input={json.dumps(pattern)}"
    run(environment, "run", RECIPE, "--demo", "--set", text, *SMALL, "--until", until, "--workers", 2, "--out", out)


def data_files(folder: Path) -> dict[str, str]:
    kinds = ("sampled/part-*", "shards/*/part-*", "tokenizer/*.model")
    found = {kind: sorted(folder.glob(kind)) for kind in kinds}
    assert all(found.values()), found
    return {str(path.relative_to(folder)): sha256(path) for paths in found.values() for path in paths}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run from local files."""
    folder = tmp_path_factory.mktemp("local")
    for path, content in mc4().items():
        (folder / "mc4" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "mc4" / path).write_bytes(content)
    with LoopbackHub("lfs", folder) as hub:
        recipe(hub.environment(), f"{folder}/mc4/multilingual/c4-es.*.json.gz", folder / "run", "shards")
    return folder / "run"


@pytest.fixture(scope="module")
def from_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run from a Hub where one request in five fails."""
    folder = tmp_path_factory.mktemp("hub")
    with LoopbackHub("lfs", folder) as hub:
        hub.create("dataset", "me/mc4", mc4())
        fail_often(hub)
        recipe(hub.environment(), "hf://datasets/me/mc4/multilingual/c4-es.*.json.gz", folder / "run", "train")
        assert hub.fired
    return folder / "run"


def fail_often(hub: LoopbackHub) -> None:
    for route in ("get", "api", "lfs_put"):
        hub.fault(route, "mix", probability=0.2, seed=3)


@pytest.mark.engine
def test_a_run_from_a_failing_hub_has_the_bytes_of_one_from_local_files(from_hub: Path, local: Path) -> None:
    assert data_files(from_hub) == data_files(local)


@pytest.mark.engine
@pytest.mark.parametrize("way", ["lfs", "xet"])
def test_what_was_made_is_loaded_from_the_hub(way: str, from_hub: Path, tmp_path: Path) -> None:
    with LoopbackHub(way, tmp_path) as hub:
        fail_often(hub)
        with client(hub, patience=60):
            for folder, repository in (("sampled", "me/sample"), ("tokenizer", "me/words"), ("model", "me/tiny")):
                assert exit_code("upload", from_hub / folder, "--repo", repository) == 0
        assert hub.fired
        hub.clear_faults()
        check_strangers_view(hub, from_hub)


def check_strangers_view(hub: LoopbackHub, made: Path) -> None:
    import pyarrow.parquet as pq
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    texts = [row["text"] for row in map(json.loads, gzip.decompress(next(iter(mc4().values()))).splitlines()[:20])]
    command = [sys.executable, "-c", STRANGER, json.dumps(texts)]
    done = subprocess.run(command, env=hub.environment("stranger"), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    same, streamed, ids, weights = json.loads(done.stdout)
    sampled = [
        text for part in sorted(made.glob("sampled/part-*")) for text in pq.read_table(part)["text"].to_pylist()
    ]
    assert same
    assert streamed == sampled
    words = AutoTokenizer.from_pretrained(made / "tokenizer")
    assert ids == [words(text)["input_ids"] for text in texts]
    for name, value in load_file(made / "model" / "model.safetensors").items():
        assert weights[name] == float(value.double().abs().sum()), name
