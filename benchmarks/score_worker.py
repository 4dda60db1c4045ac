"""One process of `benchmarks.score`: python -m benchmarks.score_worker ROLE FOLDER

FOLDER has request.json (the model) and texts.json, warming.json (lists of documents). Writes ROLE.json (what was
measured) and ROLE*.npy (perplexities) there. Seconds are of CPU time, but for `threads` and `ready` (wall time).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

Result = dict[str, float]


class Request:
    """The model to score with."""

    def __init__(self, folder: Path) -> None:
        asked = json.loads((folder / "request.json").read_text())
        self.lm, self.tokenizer, self.mode = asked["lm"], asked["tokenizer"], asked["mode"]

    def open(self) -> Any:
        from corpora.perplexity import PerplexityModel

        return PerplexityModel(self.lm, tokenizer=self.tokenizer, mode=self.mode)


def loop(folder: Path, request: Request) -> Result:
    """The published way, line by line: normalise, SentencePiece, kenlm."""
    import kenlm
    import sentencepiece

    from corpora.perplexity.normalise import normalise

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
    return {"seconds": seconds, **_memory()}


def product(folder: Path, request: Request) -> Result:
    """First pass with an empty word cache, second pass, and a first pass after other documents."""
    texts, warming = _texts(folder, "texts"), _texts(folder, "warming")
    request.open().score(texts[:1])  # kernels are loaded
    cold, warm = request.open(), request.open()
    seconds = {"cold": _timed(lambda: cold.score(texts), folder / "product-cold.npy")}
    seconds["memory"] = _memory()["memory"]  # before anything else fills it
    seconds["second"] = _timed(lambda: cold.score(texts), folder / "product-second.npy")
    warm.score(warming)
    seconds["warm"] = _timed(lambda: warm.score(texts), folder / "product-warm.npy")
    return seconds | {"mapped": _memory()["mapped"]}


def threads(folder: Path, request: Request) -> Result:
    """Wall time of all documents with one thread, and of their halves with two, each after other documents."""
    texts, warming = _texts(folder, "texts"), _texts(folder, "warming")
    seconds = {}
    for count in (1, 2):
        model = request.open()
        parts = [texts[n::count] for n in range(count)]
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(model.score, [warming] * count))
            begun = time.perf_counter()
            scores = list(pool.map(model.score, parts))
            seconds[str(count)] = time.perf_counter() - begun
        joined = np.empty(len(texts))
        for n, part in enumerate(scores):
            joined[n::count] = part
        np.save(folder / f"threads-{count}.npy", joined)
    return seconds


def ready(_folder: Path, request: Request) -> Result:
    """Wall time from this process's start to its first score, without that of reading and checking the model."""
    import psutil

    from corpora.perplexity.lm_files import resolve_lm

    begun = time.perf_counter()
    resolve_lm(request.lm, request.tokenizer, request.mode)  # reads all of it once, for its sha256
    reading = time.perf_counter() - begun
    request.open().score(["Una línea.\nY otra: 日本語"])
    return {"seconds": time.time() - psutil.Process().create_time() - reading, "reading": reading}


def _texts(folder: Path, name: str) -> list[str]:
    texts: list[str] = json.loads((folder / f"{name}.json").read_text())
    return texts


def _timed(score: Callable[[], Any], path: Path) -> float:
    begun = time.process_time()
    scores = score()
    seconds = time.process_time() - begun
    np.save(path, scores)
    return seconds


def _memory() -> Result:
    """Bytes: the peak of resident memory, and the mapped pages in it now."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"memory": _bytes(lines["VmHWM"]), "mapped": _bytes(lines["RssFile"])}


def _bytes(field: str) -> float:
    return float(field.split()[0]) * 1024


def main() -> None:
    role, folder = sys.argv[1], Path(sys.argv[2])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores if role == "threads" else cores[-1:])
    measured = {"loop": loop, "product": product, "threads": threads, "ready": ready}[role](folder, Request(folder))
    (folder / f"{role}.json").write_text(json.dumps(measured))


if __name__ == "__main__":
    main()
