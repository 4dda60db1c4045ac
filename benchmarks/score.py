"""Perplexity: compares tamiz with the published Python loop, on one core: python -m benchmarks.score --language es

The loop is that of BERTIN and CCNet: each line is normalised, split by SentencePiece and scored by kenlm. A second
version of the loop uses tamiz's normaliser, which is faster than the published one. All score the same documents, in
processes that take turns; if the corpus is large enough, the model was not trained on them. Prints MB of UTF-8 text
per second of CPU time, the ratio to the published loop, the share of documents with equal perplexity, peak memory,
two threads compared with one (wall time), and how long tamiz takes to start. Without --lm, tamiz first trains a model
and keeps it in --cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.score_worker import BEGUN

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
WARMING = 2  # number of documents that warm the caches, as a multiple of those scored
KINDS = ("cold", "second", "warm")


@dataclass(frozen=True)
class Rounds:
    """What the workers measured in each round: seconds, and bytes of memory."""

    loop: list[dict[str, float]]
    quick_loop: list[dict[str, float]]
    product: list[dict[str, float]]

    def loop_seconds(self) -> float:
        return min(measured["loop"] for measured in self.loop)

    def product_seconds(self, kind: str) -> float:
        return min(measured[kind] for measured in self.product)

    def memory(self) -> str:
        peaks = [max(measured["memory"] for measured in role) / 1e6 for role in (self.loop, self.product)]
        mapped = max(measured["mapped"] for measured in self.product) / 1e6
        anonymous = max(measured["anonymous"] for measured in self.product) / 1e6
        ours = (
            f"product {peaks[1]:.0f} MB ({anonymous:.0f} MB its own, {mapped:.0f} MB mapped, which processes share)"
        )
        return f"loop {peaks[0]:.0f} MB, {ours}"


def shards(corpora: Path, language: str) -> list[Path]:
    found = sorted((corpora / language).glob("*.jsonl.zst"))
    return found or sys.exit(f"no {corpora / language}/*.jsonl.zst: --corpora names a folder of folders of languages")


def documents(paths: list[Path]) -> Iterator[str]:
    import zstandard

    for path in paths:
        with zstandard.open(path, "rt", encoding="utf-8", newline="\n") as file:
            for line in file:
                yield json.loads(line)["text"]


def split(texts: Iterator[str], size: int) -> tuple[list[str], list[str]]:
    """The documents to score, about `size` bytes in total, and the documents that warm the caches."""
    chosen: tuple[list[str], list[str]] = ([], [])
    done = 0
    for text in texts:
        chosen[done >= size].append(text)
        done += len(text.encode())
        if done >= (1 + WARMING) * size:
            break
    return chosen


def unseen(paths: list[Path], lm: Path) -> list[Path]:
    """The shards that LM.json doesn't name, or all if it names all."""
    manifest = lm.with_suffix(".json")
    known = manifest.read_text() if manifest.is_file() else ""
    left = [path for path in paths if path.name not in known]
    if not left:
        print(f"note: {lm} was trained on all of these documents")
    return left or paths


def trained(paths: list[Path], language: str, mode: str, cache: Path) -> Path:
    """A model trained on all shards except the first quarter (or on the only shard)."""
    from corpora.errors import StaleOutput
    from corpora.perplexity.settings import LmSettings
    from tamiz.stages.common import Context
    from tamiz.stages.lm import lm_stage

    settings = (
        LmSettings(words=True) if mode == "bertin" else LmSettings(mode="ccnet" if mode == "ccnet" else "lines")
    )
    held_out = len(paths) // 4 or len(paths) - 1
    lm = cache / f"{language}-{mode}.bin"
    cache.mkdir(parents=True, exist_ok=True)
    texts = [str(path) for path in paths[held_out:]]
    try:
        lm_stage(texts, lm, settings, Context())
    except StaleOutput:  # made by an older version of tamiz
        lm_stage(texts, lm, settings, Context(rebuild=True))
    return lm


def request(lm: Path, tokenizer: Path | None, mode: str, folder: Path) -> None:
    """A link to the model without LM.json beside it, so that any mode can be chosen."""
    link = folder / "lm.bin"
    link.symlink_to(lm.resolve())
    pieces = None if mode == "bertin" else str((tokenizer or lm.with_suffix(".spiece.model")).resolve())
    (folder / "request.json").write_text(json.dumps({"lm": str(link), "tokenizer": pieces, "mode": mode}))


def work(role: str, folder: Path, kernels: Path | None = None) -> dict[str, float]:
    environment = {**os.environ, **({} if kernels is None else {"NUMBA_CACHE_DIR": str(kernels)})}
    command = [sys.executable, "-m", "benchmarks.score_worker", role, str(folder)]
    subprocess.run(command, check=True, env={**environment, BEGUN: str(time.time())})
    measured: dict[str, float] = json.loads((folder / f"{role}.json").read_text())
    return measured


def alternate(folder: Path, rounds: int, mode: str) -> Rounds:
    done = Rounds([], [], [])
    for _ in range(rounds):
        if mode != "bertin":  # nothing is normalised there
            done.quick_loop.append(work("quick_loop", folder))
        done.loop.append(work("loop", folder))
        done.product.append(work("product", folder))
    return done


def equal_share(folder: Path) -> float:
    """The share of documents for which every pass gives exactly the result of the loop."""
    expected = np.load(folder / "loop.npy").view(np.int64)
    passes = [np.load(path).view(np.int64) for path in sorted(folder.glob("*-*.npy"))]
    return float(np.mean([(scores == expected) for scores in passes], axis=0).astype(np.int64).mean())


def report(folder: Path, megabytes: float, done: Rounds) -> None:
    loop = done.loop_seconds()
    print(f"Python loop        {megabytes / loop:7.2f} MB/s")
    for quick in sorted(measured["loop"] for measured in done.quick_loop)[:1]:
        print(f"  our normaliser   {megabytes / quick:7.2f} MB/s  {loop / quick:5.1f}x")
    for kind in KINDS:
        seconds = done.product_seconds(kind)
        print(f"product, {kind:10}{megabytes / seconds:7.2f} MB/s  {loop / seconds:5.1f}x")
    threads = work("threads", folder)
    rates = [megabytes / threads["1"], 2 * megabytes / threads["2"]]
    print(f"product, threads   {rates[0]:7.2f} MB/s with one, {rates[1]:.2f} with two: {rates[1] / rates[0]:.2f}x")
    print(f"equal documents    {100 * equal_share(folder):.3f}%")
    print(f"peak memory        {done.memory()}")
    with tempfile.TemporaryDirectory() as kernels:
        first, later = (work("ready", folder, Path(kernels)) for _ in range(2))
    print(f"ready              {first['seconds']:.2f} s the first time ever, later {later['seconds']:.2f} s")
    print(f"                   after {later['reading']:.2f} s of reading, checking and mapping the model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=("lines", "ccnet", "bertin"), default="lines")
    parser.add_argument("--language", default="es")
    parser.add_argument("--lm", type=Path, help="a KenLM probing binary; without one, a model is trained")
    parser.add_argument("--tokenizer", type=Path, help="its SentencePiece model (default: beside it)")
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "tamiz-benchmarks")
    asked = parser.parse_args()
    paths = shards(asked.corpora, asked.language)
    lm = asked.lm or trained(paths, asked.language, asked.mode, asked.cache)
    texts, warming = split(documents(unseen(paths, lm)), int(asked.megabytes * 1e6))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        for name, chosen in (("texts", texts), ("warming", warming)):
            (Path(folder) / f"{name}.json").write_text(json.dumps(chosen))
        request(lm, asked.tokenizer, asked.mode, Path(folder))
        print(f"{asked.language}, mode {asked.mode}: {len(texts)} documents, {megabytes:.1f} MB, {lm}", flush=True)
        report(Path(folder), megabytes, alternate(Path(folder), asked.rounds, asked.mode))


if __name__ == "__main__":
    main()
