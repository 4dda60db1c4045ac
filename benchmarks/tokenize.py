"""Text to ids on one core: compares tamiz with `tokenizers`: python -m benchmarks.tokenize --language pt

For each kind of tokenizer, it measures the engine of record (SentencePiece, or `tokenizers` itself), `tokenizers`
with the same tokenizer's tokenizer.json, and tamiz's `encode_flat`: with an empty word cache, in a second pass, and
after other documents. All encode the same documents, in processes that take turns. Prints MB of UTF-8 text per second
of CPU time, the ratio to `tokenizers`, the share of documents with the same ids as the engine of record, and peak
memory. If fastokens is installed, it is also measured, for byte-level BPE. Tokenizers are trained on the same
language and kept in --cache.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.score import CORPORA, documents, shards, split
from benchmarks.tokenize_models import FIND

KINDS = {"es": ["unigram", "gpt2", "bytes"], "pt": ["bpe", "bpe-nfkc", "gpt2"]}  # of other languages: unigram
PASSES = ("cold", "second", "warm")
Measured = dict[str, list[dict[str, Any]]]


def work(role: str, folder: Path) -> dict[str, Any]:
    subprocess.run([sys.executable, "-m", "benchmarks.tokenize_worker", role, str(folder)], check=True)
    measured: dict[str, Any] = json.loads((folder / f"{role}.json").read_text())
    return measured


def roles(kind: str) -> list[str]:
    if kind == "bytes":
        return ["record", "product"]
    extra = ["fastokens"] if kind == "gpt2" and importlib.util.find_spec("fastokens") else []
    return ["record", *(["tokenizers"] if kind != "gpt2" else []), *extra, "product"]


def alternate(folder: Path, rounds: int, kind: str) -> Measured:
    done: Measured = defaultdict(list)
    for _ in range(rounds):
        for role in roles(kind):
            done[role].append(work(role, folder))
    return done


def equal_share(folder: Path, name: str) -> float:
    """The share of documents that have the same ids as with the engine of record."""
    with np.load(folder / "record.npz") as expected, np.load(folder / f"{name}.npz") as found:
        same = expected["lengths"] == found["lengths"]
        parts = [np.split(side["ids"], np.cumsum(side["lengths"])[:-1]) for side in (expected, found)]
    equal = [ok and np.array_equal(a, b) for ok, a, b in zip(same.tolist(), *parts, strict=True)]
    return sum(equal) / len(equal)


def report(folder: Path, megabytes: float, done: Measured) -> None:
    def least(role: str, name: str) -> float:
        return float(min(measured[name] for measured in done[role]))

    peer = least("tokenizers", "tokenizers") if "tokenizers" in done else least("record", "record")

    def line(label: str, seconds: float, role: str, saved: str) -> None:
        memory = max(measured["memory"] for measured in done[role]) / 1e6
        rates = f"{megabytes / seconds:8.2f} MB/s {peer / seconds:6.1f}x"
        print(f"  {label:24}{rates}  equal {100 * equal_share(folder, saved):7.3f}%  peak {memory:5.0f} MB")

    line("engine of record", least("record", "record"), "record", "record")
    if "tokenizers" in done:
        line("tokenizers", peer, "tokenizers", "tokenizers")
    if "fastokens" in done:
        for name in ("cold", "second"):
            line(f"fastokens, {name}", least("fastokens", name), "fastokens", "fastokens")
    for name in PASSES:
        line(f"product, {name}", least("product", name), "product", f"product-{name}")
    print(f"  served by: {done['product'][0]['engine']}", flush=True)


def measure(kind: str, paths: list[Path], asked: argparse.Namespace) -> None:
    find: Callable[[list[Path], str, Path], dict[str, str]] = FIND[kind]
    tokenizer = find(paths, asked.language, asked.cache)
    texts, warming = split(documents(paths), int(asked.megabytes * 1e6))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for saved, chosen in (("texts", texts), ("warming", warming)):
            (folder / f"{saved}.json").write_text(json.dumps(chosen))
        (folder / "request.json").write_text(json.dumps(tokenizer))
        print(f"{asked.language}, {kind}: {len(texts)} documents, {megabytes:.1f} MB", flush=True)
        report(folder, megabytes, alternate(folder, asked.rounds, kind))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--language", default="es")
    parser.add_argument("--kinds", nargs="+", choices=sorted(FIND), help="default: the kinds that suit the language")
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "tamiz-benchmarks")
    asked = parser.parse_args()
    paths = shards(asked.corpora, asked.language)
    for kind in asked.kinds or KINDS.get(asked.language, ["unigram"]):
        measure(kind, paths, asked)


if __name__ == "__main__":
    main()
