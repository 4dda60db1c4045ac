"""Shared fixtures: the demo's documents (bundled Spanish), a small language model of them, digests of folders."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
DEMO = ROOT / "tamiz" / "recipes" / "demo"

# as the commands that train set it: threads that wait don't use up a core that others need; read when torch is loaded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# a job that a shell starts with `&` ignores ^C, and so would the programs that tests interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_writers_left() -> Iterator[None]:
    """Fails a test that leaves a thread which writes to a store: it would do so in the tests after it."""
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + 10
    writers = [one for one in threading.enumerate() if one.name in ("tamiz-lease", "tamiz-mirror")]
    while left := [one for one in writers if one not in before and one.is_alive()]:
        assert time.monotonic() < until, left
        time.sleep(0.02)


@pytest.fixture(scope="session")
def demo() -> Path:
    """The folder of the bundled documents."""
    return DEMO


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """The texts of the bundled documents."""
    return [json.loads(line)["text"] for line in (DEMO / "documents.jsonl").read_bytes().splitlines()]


@pytest.fixture(scope="session")
def es_shards() -> list[Path]:
    """Real Spanish text; skips where it is absent."""
    found = sorted((SHARED / "corpora" / "es").glob("*.jsonl.zst"))
    if not found:
        pytest.skip("no ../shared/corpora/es beside the checkout")
    return found


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> list[str]:
    """The demo's documents in four files of different formats; their pattern is `<folder>/*`."""
    import gzip

    import zstandard

    folder = tmp_path_factory.mktemp("corpus")
    lines = (DEMO / "documents.jsonl").read_bytes().splitlines(keepends=True)
    quarter = len(lines) // 4
    parts = [b"".join(lines[n * quarter : (n + 1) * quarter if n < 3 else None]) for n in range(4)]
    (folder / "a.jsonl").write_bytes(parts[0])
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(parts[1], mtime=0))
    (folder / "c.jsonl.zst").write_bytes(zstandard.compress(parts[2]))
    (folder / "d.json").write_bytes(parts[3])
    return [str(folder / "*")]


@pytest.fixture(scope="session")
def lm(tmp_path_factory) -> Path:
    """A trigram model of 600 pieces, trained on the demo's clean text."""
    from corpora.perplexity.settings import LmSettings
    from tamiz.stages.common import Context
    from tamiz.stages.lm import lm_stage

    out = tmp_path_factory.mktemp("lm") / "es.bin"
    lm_stage([str(DEMO / "clean.jsonl")], out, LmSettings(order=3, train_tokenizer=600), Context())
    return out


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory) -> Path:
    """Those of `tests.model_folders`."""
    from tests.model_folders import make_tokenizers

    return make_tokenizers(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture(scope="module")
def offline() -> Iterator[None]:
    """For libraries that ask the Hub about a model that is here. Set at import, it would hold for all tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_HUB_OFFLINE", "1")
        patched.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        yield


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For tiny models: waiting for a second thread would take longer than the work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def quick_plots() -> Iterator[None]:
    """For tests that don't look at the plots that they make."""
    from tests.plots import blank

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("matplotlib.figure.Figure.savefig", blank)
        yield


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every data file below `folder`."""
    files = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items() if is_data(name)}


def is_data(name: str) -> bool:
    """Of a file below an output folder: not for those that hold times: manifests, cards, checkpoints, logs, ...."""
    parts = name.split("/")
    left_out = {"manifest.json", "README.md", "metrics.json", "loss.png", "log.jsonl"}
    return not (
        parts[-1] in left_out
        or parts[-1].endswith(".log.jsonl")  # of a language model
        or parts[0] == "report"
        or "checkpoints" in parts  # a checkpoint has the seconds so far
    )


def counts(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "manifest.json").read_bytes())["counts"]
    return content
