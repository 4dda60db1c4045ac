"""Shards: compares tamiz with other tools, from text on disk to rows on disk: python -m benchmarks.shards

The same .jsonl.zst file is read by `tamiz shards build` and by another tool, in processes that take turns, each on
one core. The shortest CPU time for a file of one document is subtracted from the shortest CPU time for all documents,
so that start-up doesn't count.
Prints MB of UTF-8 text per second, the ratio, and whether both gave the same ids (for span corruption, whether the
stream can be restored from inputs and targets). Other tools: `datasets` (tokenize, group, then the collator of
transformers' T5 example) and datatrove's DocumentTokenizer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zstandard

from benchmarks.tokenizers import gpt2, trained

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"


@dataclass(frozen=True)
class Case:
    """One comparison. peer: a role of `shards_worker`, or None."""

    name: str
    language: str
    tokenizer: str
    build: tuple[str, ...]
    peer: str | None
    eos_token: str = "</s>"


class Times(NamedTuple):
    """Seconds of each run, on one document and on all."""

    one: list[float]
    all: list[float]

    @property
    def seconds(self) -> float:
        return min(self.all) - min(self.one)

    def __str__(self) -> str:
        return "; ".join(f"{name} {', '.join(f'{s:.2f}' for s in times)}" for name, times in self._asdict().items())


SPANS = ("--objective", "span-corruption", "--sequence-length", "512")
BYTES = ("--objective", "span-corruption", "--sequence-length", "1024", "--mean-noise-span-length", "20")
CAUSAL = ("--objective", "causal", "--sequence-length", "2049")
CASES = (
    Case("span-corruption, Spanish 5k unigram", "es", "unigram", SPANS, "hugging_face"),
    Case("causal, Portuguese 32k BPE", "pt", "bpe", CAUSAL, "datatrove"),
    Case("causal, GPT-2's ids", "pt", "gpt2", CAUSAL, "datatrove", "<|endoftext|>"),
    Case("span-corruption, ByT5's bytes", "ko", "byt5", BYTES, None),
    Case("span-corruption, ByT5's bytes", "es", "byt5", BYTES, None),
)


def documents(corpora: Path, language: str, size: int) -> Iterator[bytes]:
    """Lines with about `size` bytes of text from the last shards of the language."""
    done = 0
    for path in sorted((corpora / language).glob("*.jsonl.zst"), reverse=True):
        with zstandard.open(path, "rb") as file:
            for line in file.read().splitlines(keepends=True):
                yield line
                done += len(json.loads(line)["text"].encode())
                if done >= size:
                    return


def write(path: Path, lines: list[bytes]) -> float:
    """Writes the lines; returns megabytes of text."""
    path.write_bytes(zstandard.compress(b"".join(lines)))
    return sum(len(json.loads(line)["text"].encode()) for line in lines) / 1e6


def cpu_seconds(command: list[str]) -> float:
    """User and system time of a process on one core, and of its children."""
    core = sorted(os.sched_getaffinity(0))[-1]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1",
             "OMP_NUM_THREADS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}  # fmt: skip
    process = subprocess.Popen(
        command, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{said.decode()}")
    return usage.ru_utime + usage.ru_stime


def build(source: Path, tokenizer: str, case: Case, out: Path) -> float:
    command = [sys.executable, "-m", "tamiz", "shards", "build", "--input", str(source), "--tokenizer", tokenizer]
    return cpu_seconds([*command, *case.build, "--validation-fraction", "0", "--out", str(out)])


def peer(source: Path, tokenizer: str, case: Case, out: Path, vocab_size: int, *, keep: bool = False) -> float:
    request: dict[str, Any] = {"input": str(source), "tokenizer": tokenizer, "vocab_size": vocab_size}
    request |= {"keep_stream": keep, "eos_token": case.eos_token}
    path = out.with_suffix(".json")
    path.write_text(json.dumps(request))
    return cpu_seconds([sys.executable, "-m", "benchmarks.shards_worker", str(case.peer), str(path), str(out)])


def stream_of(shards: Path) -> np.ndarray:
    """The ids in the rows of the training split, without leftover ids."""
    from corpora.tokens.shards import read_rows

    facts = json.loads((shards / "manifest.json").read_bytes())["facts"]
    parts = [read_rows(path) for path in sorted((shards / "train").glob("*.parquet"))]
    if facts["objective"] == "causal":
        return np.concatenate([part["input_ids"].reshape(-1) for part in parts])
    return np.concatenate([reassembled(part, facts) for part in parts])


def reassembled(rows: dict[str, np.ndarray], facts: dict[str, Any]) -> np.ndarray:
    """Restores raw rows from inputs and labels: puts each span in place of its sentinel."""
    inputs, labels = rows["input_ids"][:, :-1].astype(np.int64), rows["labels"][:, :-1].astype(np.int64)
    known = facts["sentinel_ids"]
    ends = sorted((known["first"], known["first"] + (known["count"] - 1) * known["step"]))
    raw = []
    for row, spans in zip(inputs, labels, strict=True):
        masked = np.flatnonzero((spans >= ends[0]) & (spans <= ends[1]))
        pieces = np.split(spans, masked)[1:]
        places = np.flatnonzero((row >= ends[0]) & (row <= ends[1]))
        kept = np.split(row, places)
        raw.append(
            np.concatenate([kept[0], *(x for a, b in zip(pieces, kept[1:], strict=True) for x in (a[1:], b[1:]))])
        )
    return np.concatenate(raw)


def compare(case: Case, corpora: Path, cache: Path, megabytes: float, rounds: int) -> None:
    tokenizer, vocab_size = tokenizer_of(case, corpora, cache)
    lines = list(documents(corpora, case.language, int(megabytes * 1e6)))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        size = write(folder / "all.jsonl.zst", lines) - write(folder / "one.jsonl.zst", lines[:1])
        ours, theirs = Times([], []), Times([], [])
        for number in range(rounds):
            for which, ours_of, theirs_of in zip(("one", "all"), ours, theirs, strict=True):
                source = folder / f"{which}.jsonl.zst"
                ours_of.append(build(source, tokenizer, case, folder / f"{which}-{number}"))
                if case.peer:
                    theirs_of.append(peer(source, tokenizer, case, folder / f"peer-{which}-{number}", vocab_size))
        report(case, size, ours, theirs)
        if case.peer:
            peer(folder / "all.jsonl.zst", tokenizer, case, folder / "kept", vocab_size, keep=True)
            agree(stream_of(folder / "all-0"), np.load(folder / "kept" / "stream.npy"))


def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
    same = np.array_equal(ours, theirs[: len(ours)])
    rest = len(theirs) - len(ours)
    if same:
        print(f"  ids               equal: {len(ours):,} in rows, {rest:,} left over")
    else:
        size = min(len(ours), len(theirs))
        first = int(np.argmax(ours[:size] != theirs[:size]))
        print(
            f"  ids               differ from the {first:,}th on; {len(theirs):,} by the peer, {len(ours):,} in rows"
        )


def report(case: Case, megabytes: float, ours: Times, theirs: Times) -> None:
    print(f"{case.name} ({case.language}): {megabytes:.1f} MB; seconds {ours}")
    print(f"  tamiz shards build {megabytes / ours.seconds:7.1f} MB/s")
    if theirs.all:
        ratio = theirs.seconds / ours.seconds
        print(f"  {case.peer:18} {megabytes / theirs.seconds:7.1f} MB/s  {ratio:6.1f}x")
    sys.stdout.flush()


def tokenizer_of(case: Case, corpora: Path, cache: Path) -> tuple[str, int]:
    from corpora.encoding import load_encoder

    if case.tokenizer == "byt5":
        return "byt5", load_encoder("byt5").vocab_size
    folder = gpt2(cache) if case.tokenizer == "gpt2" else trained(case.tokenizer, corpora, case.language, cache)
    return str(folder), load_encoder(str(folder)).vocab_size


def corruption_alone(corpora: Path, cache: Path, folder: Path) -> None:
    """Measures span corruption alone, on raw rows of 568 ids of Spanish text."""
    from corpora.encoding import load_encoder
    from corpora.texts import utf8

    encoder = load_encoder(str(trained("unigram", corpora, "es", cache)))
    texts = [json.loads(line)["text"] for line in documents(corpora, "es", 30_000_000)]
    ids = encoder.encode_flat(utf8(texts)).ids
    np.save(folder / "rows.npy", ids[: len(ids) // 568 * 568].reshape(-1, 568))
    request = folder / "request.json"
    request.write_text(json.dumps({"rows": str(folder / "rows.npy"), "vocab_size": encoder.vocab_size}))
    cpu_seconds([sys.executable, "-m", "benchmarks.shards_worker", "corruption", str(request), str(folder)])
    found = json.loads((folder / "corruption.json").read_text())
    print(f"span corruption alone: {found['ours']:,.0f} rows/s, the collator {found['collator']:,.0f}: "
          f"{found['ours'] / found['collator']:.1f}x")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", type=int, choices=range(len(CASES)), action="append", help="default: all")
    parser.add_argument("--language", help="language of the texts, instead of the language of each case")
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "tamiz-benchmarks")
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corruption_alone(asked.corpora, asked.cache, Path(folder))
    for number in asked.case or range(len(CASES)):
        case = CASES[number] if asked.language is None else replace(CASES[number], language=asked.language)
        compare(case, asked.corpora, asked.cache, asked.megabytes, asked.rounds)


if __name__ == "__main__":
    main()
