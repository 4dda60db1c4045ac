"""Whether `tamiz plan` is right: plans recipes, runs them, and prints planned : taken, stage by stage.

    python -m benchmarks.plan [--corpus DIR] [--scale 1] [--work DIR] [--systems t5 llama]

Text of a corpus is used in files: two for the documents, one for the language model, times --scale. Ratios of stages
that take less than 5 s of processor time say little. On a machine that others use, too, look at processor time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tamiz.console import say, table
from tamiz.planning import planned
from tamiz.planning.actual import HEADER, NEAR, compared, notes, rows

ES = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "es"
T5 = ("t5-spanish-efficient-tiny", "train.steps=40", "train.batch_size=16", "train.validation_batches=2",
      "train.validate_every=20", "train.warmup_steps=5", "lm.train_tokenizer=8000")  # fmt: skip
LLAMA = """base = "teenytinyllama-160m"
without = ["mixture", "lm", "score", "sample"]
name = "causal"
[documents]
language = "pt"
input = {documents}
[tokenizer]
vocab_size = 8000
[shards]
sequence_length = 512
[model]
vocab_size = 8000
num_layers = 2
hidden_size = 256
intermediate_size = 688
num_heads = 4
max_position_embeddings = 512
[train]
steps = 16
batch_size = 8
validation_batches = 2
validate_every = 0
warmup_steps = 2
"""
SYSTEMS = ("t5", "llama")


def _command(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "tamiz", *arguments], check=True)


def _patterns(corpus: Path, first: int, number: int) -> str:
    files = sorted(corpus.glob("*.jsonl*"))[first : first + number]
    return "[" + ", ".join(f"'{file}'" for file in files) + "]"


def measure(system: str, corpus: Path, scale: int, work: Path, sample: int) -> bool:
    """Plans and runs one recipe; returns whether every stage that counts is near its plan."""
    documents = _patterns(corpus, 0, 2 * scale)
    work.mkdir(parents=True, exist_ok=True)
    if system == "t5":
        recipe, *settings = T5
        lm = _patterns(corpus, 2 * scale, scale)
        chosen = [f"documents.input={documents}", f"lm.input={lm}", *settings]
    else:
        recipe, chosen = str(work / "causal.toml"), []
        Path(recipe).write_text(LLAMA.format(documents=documents))
    given = [part for one in chosen for part in ("--set", one)]
    out = work / system
    _command("plan", recipe, *given, "--sample-bytes", str(sample), "--out", str(out))
    _command("run", recipe, *given, "--out", str(out))
    plan = planned.read(out)
    assert plan is not None
    found = compared(plan, out)
    table(f"{system}: planned, taken, and planned : taken", HEADER, rows(found))
    for line in notes(found):
        say(line)
    return all(abs(1 - (one.cpu_seconds or 0)) <= NEAR for one in found if one.counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--corpus", type=Path, default=ES)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--sample-bytes", type=int, default=8_000_000)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        near = [measure(each, given.corpus, given.scale, work, given.sample_bytes) for each in given.systems]
    say("every stage is within 30% of its plan" if all(near) else "a stage isn't within 30% of its plan")


if __name__ == "__main__":
    main()
