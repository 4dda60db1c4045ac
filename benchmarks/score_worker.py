"""One process of `benchmarks.score`: python -m benchmarks.score_worker ROLE FOLDER

FOLDER has request.json (the model) and texts.json, warming.json (lists of documents). Writes ROLE.json (what was
measured) and ROLE*.npy (perplexities) there. Seconds are CPU time, except in `threads` and `ready` (wall time).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tests.reference.ccnet_normalise import DIGIT, PUNCTUATION

Normalise = Callable[[str], str]
Result = dict[str, float]
THREAD_ROUNDS = 5
BEGUN = "BENCHMARK_BEGUN"  # start time of this process, in seconds since 1970
NOT_PRINTED = re.compile("[" + "".join(map(chr, [*range(32), *range(127, 160)])) + "]")
MEMORY = {"memory": "VmHWM", "anonymous": "RssAnon", "mapped": "RssFile"}


class Request:
    """The model to score with."""

    def __init__(self, folder: Path) -> None:
        asked = json.loads((folder / "request.json").read_text())
        self.lm, self.tokenizer, self.mode = asked["lm"], asked["tokenizer"], asked["mode"]

    def open(self) -> Any:
        from corpora.perplexity import PerplexityModel

        return PerplexityModel(self.lm, tokenizer=self.tokenizer, mode=self.mode)


def published_normalise(line: str) -> str:
    """cc_net's `normalize` step by step, in the order of its text_normalizer.py."""
    line = line.strip().lower()
    line = "".join([c for c in unicodedata.normalize("NFD", line) if unicodedata.category(c) != "Mn"])
    line = DIGIT.sub("0", line)
    line = "".join(PUNCTUATION.get(c, c) for c in line)
    return NOT_PRINTED.sub("", line)


def loop(folder: Path, request: Request, normalise: Normalise = published_normalise) -> Result:
    """The published way, line by line: normalise, SentencePiece, kenlm."""
    import kenlm
    import sentencepiece

    model = kenlm.Model(request.lm)
    processor = None
    if request.tokenizer is not None:
        processor = sentencepiece.SentencePieceProcessor(model_file=request.tokenizer)
    texts = _texts(folder, "texts")
    begun, perplexities = time.process_time(), []
    for text in texts:
        total, length = 0.0, 0
        for line in [text] if request.mode == "ccnet" else text.split("\n"):
            if processor is not None:
                line = " ".join(processor.encode(normalise(line), out_type=str))
            total += model.score(line)
            length += len(line.split()) + 1
        perplexities.append(10.0 ** (-total / length))
    seconds = time.process_time() - begun
    np.save(folder / "loop.npy", perplexities)
    return {"loop": seconds, **_memory()}


def quick_loop(folder: Path, request: Request) -> Result:
    """The same loop with the product's normaliser."""
    from corpora.text.normalise import normalise

    return loop(folder, request, normalise)


def product(folder: Path, request: Request) -> Result:
    """A first pass with an empty word cache, a second pass, and a first pass after other documents."""
    texts, warming = _texts(folder, "texts"), _texts(folder, "warming")
    request.open().score(texts[:1])  # loads the kernels
    model = request.open()
    seconds = {"cold": _timed(model, texts, folder / "product-cold.npy")}
    seconds["second"] = _timed(model, texts, folder / "product-second.npy")
    seconds |= _memory()
    model = request.open()
    model.score(warming)
    return seconds | {"warm": _timed(model, texts, folder / "product-warm.npy")}


def threads(folder: Path, request: Request) -> Result:
    """Shortest wall time of one thread that scores all documents, and of two that each do, with warm caches."""
    texts = _texts(folder, "texts")
    model = request.open()
    half = len(texts) // 2
    orders = [texts, texts[half:] + texts[:half]]  # the two threads work on different documents
    seconds = {}
    for count in (1, 2):
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(model.score, orders[:count]))
            times = []
            for _ in range(THREAD_ROUNDS):
                begun = time.perf_counter()
                scores = list(pool.map(model.score, orders[:count]))
                times.append(time.perf_counter() - begun)
            seconds[str(count)] = min(times)
    np.save(folder / "threads-1.npy", scores[0])
    np.save(folder / "threads-2.npy", np.roll(scores[1], half))
    return seconds


def ready(_folder: Path, request: Request) -> Result:
    """Wall time from the start of this process to its first score, without reading, checking and mapping a model."""
    from corpora.perplexity import model, probing

    reading: list[float] = []
    model.resolve_lm = _clocked(model.resolve_lm, reading)  # reads all of the model once, for its sha256
    probing.map_numbers = _clocked(probing.map_numbers, reading)
    request.open().score(["Una línea.\nY otra: 日本語"])
    return {"seconds": time.time() - float(os.environ[BEGUN]) - sum(reading), "reading": sum(reading)}


def _clocked(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def clocked(*arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        result = function(*arguments, **options)
        seconds.append(time.perf_counter() - begun)
        return result

    return clocked


def _texts(folder: Path, name: str) -> list[str]:
    texts: list[str] = json.loads((folder / f"{name}.json").read_text())
    return texts


def _timed(model: Any, texts: list[str], path: Path) -> float:
    begun = time.process_time()
    scores = model.score(texts)
    seconds = time.process_time() - begun
    np.save(path, scores)
    return seconds


def _memory() -> Result:
    """Bytes: peak resident memory, and the memory that is now anonymous and mapped."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: _bytes(lines[field]) for name, field in MEMORY.items()}


def _bytes(field: str) -> float:
    return float(field.split()[0]) * 1024


def main() -> None:
    role, folder = sys.argv[1], Path(sys.argv[2])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores if role == "threads" else cores[-1:])
    measured = {"loop": loop, "quick_loop": quick_loop, "product": product, "threads": threads, "ready": ready}[role](
        folder, Request(folder)
    )
    (folder / f"{role}.json").write_text(json.dumps(measured))


if __name__ == "__main__":
    main()
