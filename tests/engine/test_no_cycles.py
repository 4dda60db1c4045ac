"""What an item's work leaves behind goes at once: no cycle of objects keeps its buffers until the garbage collector
comes, which counts objects, not bytes."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import GeneratorType
from typing import Any

import pytest

from pipelines import once
from tamiz.stages import lm_training
from tests.command import tamiz

OWN = ("corpora", "pipelines", "tokenizer_train", "tamiz")
DEMO = Path(__file__).parents[2] / "tamiz" / "recipes" / "demo" / "documents.jsonl"


def is_ours(thing: Any) -> bool:
    """An object, a function or a generator of tamiz."""
    if type(thing) in weakref.ProxyTypes:  # what it stands for may be gone
        return False
    if isinstance(thing, GeneratorType):
        return any(f"/{name}/" in thing.gi_code.co_filename for name in OWN)
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return isinstance(module, str) and module.partition(".")[0] in OWN


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, set[str]]]:
    """For each kind of work, what its first two units left for the garbage collector."""
    found: dict[str, set[str]] = {}
    seen: Counter[str] = Counter()
    recorded: Callable[..., None] = once.record

    def before(work: Any, *_: Any) -> None:
        seen[type(work).__name__] += 1
        if seen[type(work).__name__] <= 2:
            gc.collect()
            gc.disable()

    def after(work: Any, *given: Any) -> None:
        if not gc.isenabled():
            look(work)
        recorded(work, *given)

    def look(work: Any) -> None:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        ours = {repr(thing)[:80] for thing in gc.garbage if is_ours(thing)}
        gc.garbage.clear()
        gc.enable()
        found.setdefault(type(work).__name__, set()).update(ours)

    monkeypatch.setattr(once, "answer", before)
    monkeypatch.setattr(once, "record", after)
    yield found
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def test_no_unit_leaves_a_cycle(
    left: dict[str, set[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lm_training, "is_small", lambda _items: False)  # so that units read the text
    text = tmp_path / "text"
    text.mkdir()
    lines = DEMO.read_bytes().splitlines(keepends=True)[:600]
    for number in range(3):
        (text / f"{number}.jsonl").write_bytes(b"".join(lines[number::3]))
    given = ["--input", text / "*.jsonl"]
    lm, scores, tokenizer = tmp_path / "lm" / "lm.bin", tmp_path / "scores", tmp_path / "tokenizer"
    unigram = ["--kind", "unigram", "--vocab-size", 600, "--extra-ids", 20]
    span = ["--objective", "span-corruption", "--sequence-length", 64]
    causal = ["--objective", "causal", "--sequence-length", 64]
    for command in (
        ["lm", "train", *given, "--order", 3, "--train-tokenizer", 600, "--out", lm],
        ["lm", "train", *given, "--order", 2, "--words", "--out", tmp_path / "words" / "lm.bin"],
        ["score", *given, "--lm", lm, "--out", scores],
        ["sample", *given, "--scores", scores, "--keep", 0.5, "--out", tmp_path / "sampled"],
        ["tokenizer", "train", *given, *unigram, "--out", tokenizer],
        ["tokenizer", "eval", tokenizer, *given, "--language", "es", "--out", tmp_path / "eval"],
        ["shards", "build", *given, "--tokenizer", tokenizer, *span, "--out", tmp_path / "span"],
        ["shards", "build", *given, "--tokenizer", "byt5", *causal, "--out", tmp_path / "bytes"],
        ["shards", "build", *given, "--tokenizer", tokenizer, *causal, "--packing", "best-fit", "--out",
         tmp_path / "best-fit"],
    ):  # fmt: skip
        code, _, said = tamiz(capsys, *command)
        assert code == 0, said
    assert len(left) >= 8, left.keys()
    assert {work: things for work, things in left.items() if things} == {}
