"""Runs a fixed set of commands on real text and prints the sha256 of every data file, to compare two versions.

    python -m benchmarks.same_bytes --out /tmp/before > before.tsv
    python -m benchmarks.same_bytes --out /tmp/after --compare before.tsv

The commands: the demo; the Spanish recipe to shards and five training steps; `shards build` with every objective and
packing; `tokenizer train` of three kinds; `lm train` and `score` in three modes; a sample of five languages.
--checkout DIR runs another checkout of tamiz with this interpreter. The text comes from shared/corpora.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent.parent
CORPORA = HERE.parent / "shared" / "corpora"
RECIPE = "t5-spanish-efficient-tiny"
# not compared, because times, energy, paths and plots may differ
NOT_DATA = {"metrics.json", "README.md", "recipe.json", "log.jsonl"}
NOT_DATA_SUFFIXES = {".png", ".html"}
FIVE = ("es", "pt", "ko", "ja", "zh")


def files_of(language: str, *numbers: int) -> list[str]:
    found = sorted((CORPORA / language).glob("*.jsonl.zst"))
    return [str(found[n]) for n in numbers]


def commands(out: Path) -> Iterator[tuple[str, list[str]]]:
    """(step, arguments): later steps read the output of earlier steps."""
    yield "demo", ["run", RECIPE, "--demo", "--workers", "2", "--out", str(out / "demo")]
    yield from _recipe(out)
    yield from _tokenizers(out)
    yield from _shards(out)
    yield from _scores(out)
    yield from _languages(out)


def _recipe(out: Path) -> Iterator[tuple[str, list[str]]]:
    settings = [
        f"lm.input={json.dumps(files_of('es', 0, 1))}",
        f"documents.input={json.dumps(files_of('es', 2, 3, 4))}",
        "lm.train_tokenizer=8000",
        "train.steps=5",
        "train.validate_every=5",
        "train.batch_size=16",
    ]
    flags = [flag for setting in settings for flag in ("--set", setting)]
    yield "recipe", ["run", RECIPE, *flags, "--workers", "2", "--out", str(out / "recipe")]


def _tokenizers(out: Path) -> Iterator[tuple[str, list[str]]]:
    text = ["--input", *files_of("es", 2)]
    for kind, more in (
        ("unigram", ["--vocab-size", "5000", "--lowercase", "--extra-ids", "100"]),
        ("bpe", ["--vocab-size", "8000"]),
        ("bytes", ["--vocab-size", "259"]),
    ):
        folder = str(out / "tokenizers" / kind)
        yield (
            f"tokenizer-{kind}",
            ["tokenizer", "train", "--kind", kind, *more, *text, "--workers", "2", "--out", folder],
        )


def _shards(out: Path) -> Iterator[tuple[str, list[str]]]:
    unigram, bpe = (str(out / "tokenizers" / kind) for kind in ("unigram", "bpe"))
    for name, flags in (
        ("span-corruption", [unigram, "--objective", "span-corruption", "--sequence-length", "512"]),
        ("random-roll", [unigram, "--objective", "span-corruption", "--sequence-length", "256", "--random-roll"]),
        ("byt5", ["byt5", "--objective", "span-corruption", "--sequence-length", "1024",
                  "--mean-noise-span-length", "20", "--character-borders"]),
        ("ul2", [unigram, "--objective", "ul2", "--sequence-length", "384"]),
        ("causal", [bpe, "--objective", "causal", "--sequence-length", "2049", "--bos"]),
        ("best-fit", [bpe, "--objective", "causal", "--sequence-length", "2048", "--packing", "best-fit"]),
    ):  # fmt: skip
        text = ["--input", *files_of("es", 5), *files_of("ko", 0)]
        where = ["--workers", "2", "--out", str(out / "shards" / name)]
        yield f"shards-{name}", ["shards", "build", "--tokenizer", *flags, *text, *where]


def _scores(out: Path) -> Iterator[tuple[str, list[str]]]:
    text = files_of("es", 0)
    for mode in ("lines", "ccnet", "bertin"):
        lm = str(out / "lm" / f"{mode}.bin")
        own = ["--words"] if mode == "bertin" else ["--mode", mode, "--train-tokenizer", "4000"]
        yield f"lm-{mode}", ["lm", "train", "--input", *text, *own, "--out", lm]
        scores = str(out / "scores" / mode)
        yield (
            f"score-{mode}",
            ["score", "--input", *files_of("es", 6, 7), "--lm", lm, "--workers", "2", "--out", scores],
        )


def _languages(out: Path) -> Iterator[tuple[str, list[str]]]:
    for language in FIVE:
        lm = str(out / "lms" / f"{language}.bin")
        train = ["--train-tokenizer", "8000", "--order", "3", "--out", lm]
        yield f"lm-{language}", ["lm", "train", "--input", *files_of(language, 0), *train]
    models = [f"{language}={out / 'lms' / f'{language}.bin'}" for language in FIVE]
    text = [files_of(language, -1)[0] for language in FIVE]
    scores = str(out / "scores" / "five")
    yield "score-five", ["score", "--input", *text, "--lm", *models, "--workers", "2", "--out", scores]
    yield "calibrate-five", ["calibrate", scores, "--keep", "0.25"]
    sample = ["sample", "--input", *text, "--scores", scores, "--workers", "2"]
    amounts = ["--keep", "0.2", "--keep", "es=0.3", "--keep-documents", "ko=500"]
    early = [*amounts, "--width", "bertin-early"]
    yield "sample-five", [*sample, *early, "--out", str(out / "sampled" / "five")]
    stepwise = ["--method", "stepwise", "--keep", "0.3", "--format", "jsonl.gz"]
    yield "sample-stepwise", [*sample, *stepwise, "--out", str(out / "sampled" / "stepwise")]
    random = ["--method", "random", "--keep-documents", "3000", "--per", "all"]
    yield "sample-random", [*sample, *random, "--out", str(out / "sampled" / "random")]
    buckets = ["--method", "buckets", "--keep-buckets", "head,middle"]
    yield "sample-buckets", [*sample, *buckets, "--out", str(out / "sampled" / "buckets")]


def run(out: Path, checkout: Path, only: Sequence[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    for step, arguments in commands(out):
        if only and not any(step.startswith(o) for o in only):
            continue
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "tamiz", *arguments], env=environment, cwd=checkout, capture_output=True, text=True
        )
        print(f"{step}: {time.monotonic() - began:.0f} s, exit code {done.returncode}", file=sys.stderr, flush=True)
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:], sep="\n", file=sys.stderr)


def digests(out: Path) -> dict[str, str]:
    """Path below `out` -> sha256 of a data file, or the fingerprint in a manifest."""
    found = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = path.relative_to(out).as_posix()
        content = json.loads(path.read_bytes()) if path.suffix == ".json" else {}
        if content.get("format") in ("tamiz-manifest", "tamiz-lm"):
            found[f"{name}#fingerprint"] = content["fingerprint"]
        elif path.name not in NOT_DATA and path.suffix not in NOT_DATA_SUFFIXES:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def compare(found: dict[str, str], before: Path) -> int:
    """Prints what differs; returns how many data files do. Fingerprints are listed but don't count."""
    old = dict(line.split("\t") for line in before.read_text().splitlines() if "\t" in line)
    changed = sorted(name for name in {*old, *found} if old.get(name) != found.get(name))
    for name in changed:
        state = "gone" if name not in found else "new" if name not in old else "changed"
        print(f"{state}\t{name}")
    files = [name for name in changed if not name.endswith("#fingerprint")]
    same = sum(1 for name in found if old.get(name) == found[name] and not name.endswith("#fingerprint"))
    print(f"{same} data files are the same, {len(files)} differ; {len(changed) - len(files)} fingerprints differ")
    return len(files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkout", type=Path, default=HERE, help="run this checkout's tamiz")
    parser.add_argument("--only", nargs="*", default=[], help="run only steps whose names start with one of these")
    parser.add_argument("--compare", type=Path, metavar="TSV", help="output of an earlier run")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    run(out, arguments.checkout.resolve(), arguments.only)
    found = digests(out)
    if arguments.compare:
        sys.exit(1 if compare(found, arguments.compare) else 0)
    for name, digest in found.items():
        print(f"{name}\t{digest}")


if __name__ == "__main__":
    main()
