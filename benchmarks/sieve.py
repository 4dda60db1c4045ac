"""Does perplexity sampling pay? One model and budget on samples of one corpus: python -m benchmarks.sieve --out DIR

Noise of six kinds is planted in the Spanish corpus (`benchmarks.sieve_noise`: 40% of the documents). A language model
of clean text scores all of it, and each of BERTIN's samplers and CCNet's head keep an eighth of the documents. A
small Llama learns from each sample for the same number of tokens, with the same tokenizer, and its loss on clean text
that is held out is measured on the way. Every stage is a command of tamiz, every choice is seeded. "clean only" is a
random draw of the documents that aren't noise: what a perfect sieve would let through.

Prints a table, and writes sieve.json, sieve.md and sieve.png into DIR, after every training that ends. The same
command continues where it was stopped. --tiny does all of it in minutes, too small to show anything. --write puts
table and plot into docs/sieve.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.sieve_corpus import SPLIT_SEED, Corpus, clean_draw, make_corpus, write
from benchmarks.sieve_figures import Arm, figures_of, markdown, plot
from benchmarks.sieve_noise import CLEAN
from benchmarks.sieve_sizes import CLEAN_ONLY, SAMPLERS, SIZES, Size
from corpora import files
from corpora.errors import BadArgument, TamizError

ROOT = Path(__file__).resolve().parents[1]
CORPORA = ROOT.parent / "shared" / "corpora"
PAGE, IMAGE = ROOT / "docs" / "sieve.md", "images/sieve.png"
BEGIN, END = "<!-- table: python -m benchmarks.sieve --write -->", "<!-- end of table -->"
Commands = Callable[[Sequence[Sequence[str]]], None]
Say = Callable[[str], None]


class Sieve:
    """One experiment in a folder. commands: does `tamiz ARGUMENTS` for each of them, and raises an error if one
    fails. names: of the samples that are compared."""

    def __init__(
        self,
        corpora: Path,
        out: Path,
        size: Size,
        commands: Commands,
        say: Say = print,
        names: Sequence[str] = (*SAMPLERS, CLEAN_ONLY),
    ) -> None:
        self.corpora, self.out, self.size, self._commands, self._say = corpora, out, size, commands, say
        self._names = names
        self.lm, self.scores, self.tokenizer = out / "lm" / "es.bin", out / "scores", out / "tokenizer"

    def run(self, jobs: int) -> list[Arm]:
        """All that isn't done yet; `jobs` trainings at a time."""
        check_same(self.out, self.size)
        corpus = make_corpus(self.corpora, self.out / "corpus", self.size)
        self._say(f"pool: {sum(corpus.counts.values()):,} documents; held out: {corpus.held_out}; {corpus.counts}")
        self._prepare(corpus)
        names = [(name, seed) for seed in range(self.size.seeds) for name in self._names]
        done: list[Arm] = []
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(self.arm, corpus, name, seed) for name, seed in names]
            try:
                for future in waiting:
                    done.append(future.result())
                    self.write(corpus, done)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return done

    def _prepare(self, corpus: Corpus) -> None:
        """What all arms share: the language model, the scores and the tokenizer."""
        size, many = self.size, ("--workers", "2")
        text = ("--input", str(corpus.lm_file))
        kind = ("--kind", "unigram", "--vocab-size", str(size.vocab_size))
        self._commands(
            [
                ("lm", "train", *text, "--train-tokenizer", str(size.lm_pieces), *many, "--out", str(self.lm)),
                ("score", "--input", corpus.pool, "--lm", str(self.lm), *many, "--out", str(self.scores)),
                ("tokenizer", "train", *kind, *text, *many, "--out", str(self.tokenizer)),
            ]
        )

    def arm(self, corpus: Corpus, name: str, seed: int) -> Arm:
        """A sample, its shards and a model; or what was found when they were made."""
        folder = self.out / "arms" / f"{name.replace(' ', '-').replace('/', '-')}-{seed}"
        kept = folder / "figures.json"
        if kept.is_file():
            return Arm.read(kept)
        begun = time.monotonic()
        sampling, pattern = self._sample(corpus, name, seed, folder)
        recipe = folder / "train.toml"
        files.write_bytes(recipe, self.size.recipe(seed).encode())
        given = ("--shards", str(folder / "shards"), "--tokenizer", str(self.tokenizer), "--model", str(recipe))
        training = ("train", *given, "--out", str(folder / "model"))
        self._commands([*sampling, self._shards(corpus, pattern, folder), training])
        arm = figures_of(name, seed, folder, pattern)
        files.write_bytes(kept, arm.json())
        self._say(f"{name}, seed {seed}: loss {arm.last:.4f}, {time.monotonic() - begun:.0f} s")
        return arm

    def _sample(self, corpus: Corpus, name: str, seed: int, folder: Path) -> tuple[list[tuple[str, ...]], str]:
        """The command that makes a sample, if one does, and a pattern of the sample's files."""
        out, size = folder / "sample", self.size
        if name == CLEAN_ONLY:  # as many documents as the others
            share = min(1.0, size.keep * sum(corpus.counts.values()) / corpus.counts[CLEAN])
            write(out / "part-00000.jsonl.zst", clean_draw(corpus, share, seed))
            return [], str(out / "*.jsonl.zst")
        given = ("--input", corpus.pool, "--scores", str(self.scores), "--columns", "kind")
        how = (*SAMPLERS[name], "--keep", str(size.keep), "--seed", str(seed), "--source-by", "column:kind")
        return [("sample", *given, *how, "--out", str(out))], str(out / "*.parquet")

    def _shards(self, corpus: Corpus, pattern: str, folder: Path) -> tuple[str, ...]:
        """The held-out text comes first, so that its rows are the same ones for all."""
        text = ("--input", str(corpus.held_out_file), pattern, "--tokenizer", str(self.tokenizer))
        rows = ("--objective", "causal", "--sequence-length", str(self.size.sequence_length))
        split = ("--validation-fraction", str(self.size.held_out_share), "--seed", str(SPLIT_SEED))
        return ("shards", "build", *text, *rows, *split, "--out", str(folder / "shards"))

    def write(self, corpus: Corpus, arms: list[Arm]) -> None:
        """Table, plot and JSON of the arms that are done."""
        found = {"size": self.size.asdict(), "counts": corpus.counts, "characters": corpus.characters}
        found |= {"left_out": corpus.left_out, "held_out": corpus.held_out, "lm": corpus.lm}
        plain = {**found, "arms": [json.loads(arm.json()) for arm in arms]}
        files.write_bytes(self.out / "sieve.json", json.dumps(plain, indent=1, ensure_ascii=False).encode())
        files.write_bytes(self.out / "sieve.md", markdown(self.size, corpus, arms).encode())
        plot(arms, self.out / "sieve.png")


def check_same(out: Path, size: Size) -> None:
    """Raises BadArgument if the folder has an experiment of another size."""
    path = out / "size.json"
    plain = json.dumps(size.asdict(), indent=1)
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, plain.encode())
        return
    before = json.loads(path.read_bytes())
    changed = sorted(name for name, value in json.loads(plain).items() if before.get(name) != value)
    if changed:
        name = changed[0]
        raise BadArgument(
            f"{out} has another experiment: its {name} is {before.get(name)}, not {size.asdict()[name]}: choose "
            "another --out"
        )


def in_a_process(log: Path) -> Commands:
    """Each series of commands in one new process, so that libraries are imported once. What they print goes to files
    in `log`, named after the last command's output folder."""

    def commands(series: Sequence[Sequence[str]]) -> None:
        log.mkdir(parents=True, exist_ok=True)
        path = log / f"{'-'.join(Path(series[-1][-1]).parts[-2:])}.log"
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)}
        given = [sys.executable, "-m", "benchmarks.sieve_worker", json.dumps(series)]
        with path.open("ab") as file:
            code = subprocess.run(given, cwd=ROOT, stdout=file, stderr=file, env=environment).returncode
        if code:
            last = path.read_text(errors="replace").strip().split("\n")[-1]
            raise TamizError(f"a command ended with exit code {code}: {last} ({path})")

    return commands


def write_page(out: Path, page: Path = PAGE) -> None:
    """Puts table and plot into the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    table = (out / "sieve.md").read_text(encoding="utf-8").strip()
    image = f'<img src="{IMAGE}" width="700" alt="Loss on held-out text against steps, for each sample">'
    (page.parent / IMAGE).parent.mkdir(exist_ok=True)
    (page.parent / IMAGE).write_bytes((out / "sieve.png").read_bytes())
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{image}\n\n{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument(
        "--size", choices=list(SIZES), default="cpu", help="gpu: larger, for a machine with one [cpu]"
    )
    parser.add_argument("--tiny", action="store_const", dest="size", const="tiny", help="the same as --size tiny")
    parser.add_argument(
        "--corpora", type=Path, default=CORPORA, help="folder LANGUAGE/*.jsonl.zst [../shared/corpora]"
    )
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time; size cpu has one thread each [2]")
    parser.add_argument("--write", action="store_true", help="put table and plot into docs/sieve.md")
    given = parser.parse_args(arguments)
    if given.jobs < 1:
        parser.error(f"--jobs is {given.jobs}; it must be at least 1")
    begun = time.monotonic()
    try:
        sieve = Sieve(given.corpora, given.out.resolve(), SIZES[given.size], in_a_process(given.out / "logs"))
        sieve.run(given.jobs)
    except TamizError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    if given.write:
        write_page(given.out)
    print((given.out / "sieve.md").read_text(encoding="utf-8"))
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes; {given.out / 'sieve.png'}")


if __name__ == "__main__":
    main()
