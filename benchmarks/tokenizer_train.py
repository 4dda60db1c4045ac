"""Compares `tamiz tokenizer train` on a whole corpus with SentencePiece on 47 MB of lines of that corpus.

Run it with python -m benchmarks.tokenizer_train. Both train a lowercased unigram of the same size with two threads,
in turn, --runs times, each run in its own process. tamiz reads, counts, trains and exports; SentencePiece, used as in
spm_train, reads its lines from a plain file. Prints wall and CPU times, the ratios of their medians, whether tamiz
wrote the same bytes each time, and tokens per byte of both on the last file of the corpus, which neither has seen
(tamiz trains once more without it).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.randomness import uniform

LINE_BYTES = 47_000_000
SHARED = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "es"


def texts(paths: list[str]) -> Iterator[str]:
    for item in work_items(paths):
        for batch in read_batches(item):
            yield from batch.texts


def write_lines(paths: list[str], out: Path) -> int:
    """Writes lines of randomly drawn documents, up to LINE_BYTES; returns the number of bytes."""
    total = sum(len(text.encode()) for text in texts(paths))
    share, size = 1.05 * LINE_BYTES / total, 0
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        for text in texts(paths):
            if size < LINE_BYTES and uniform(0, "benchmark", text) < share:
                lines = [line for line in text.split("\n") if line.strip()]
                file.writelines(f"{line}\n" for line in lines)
                size += sum(len(line.encode()) + 1 for line in lines)
    return size


def tamiz_command(paths: list[str], pieces: int, out: Path) -> list[str]:
    command = [sys.executable, "-m", "tamiz", "tokenizer", "train", "--kind", "unigram", "--lowercase"]
    command += ["--vocab-size", str(pieces), "--workers", "2", "--out", str(out)]
    return command + [part for path in paths for part in ("--input", path)]


def peer_command(lines: Path, pieces: int, model: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.tokenizer_train", "--peer", str(lines), str(model), str(pieces)]


def train_peer(lines: str, model: str, pieces: str) -> None:
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        input=lines,
        model_prefix=model.removesuffix(".model"),
        model_type="unigram",
        vocab_size=int(pieces),
        normalization_rule_name="nmt_nfkc_cf",
        num_threads=2,
        minloglevel=2,
    )


def run(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds. Ends this program if the command fails."""
    begun, used = time.monotonic(), _cpu_of_children()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:300]}\nfailed:\n{done.stderr[-2000:]}")
    return time.monotonic() - begun, _cpu_of_children() - used


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tokens_per_byte(model: Path, held_out: list[str]) -> float:
    import sentencepiece

    ids = sentencepiece.SentencePieceProcessor(model_file=str(model)).encode(held_out, num_threads=2)
    return sum(map(len, ids)) / sum(len(text.encode()) for text in held_out)


def compare(options: argparse.Namespace, folder: Path) -> None:
    paths = sorted(map(str, options.corpus.glob("*.jsonl.zst")))
    if len(paths) < 2:
        sys.exit(f"fewer than two .jsonl.zst files in {options.corpus}: --corpus names a folder that has them")
    lines, peer, names = folder / "lines.txt", folder / "peer.model", ("tamiz, whole corpus", "SentencePiece, lines")
    size = write_lines(paths[:-1], lines)
    print(f"{len(paths)} files; {size / 1e6:.1f} MB of lines for the peer", flush=True)
    times: list[list[tuple[float, float]]] = [[], []]
    models = []
    for number in range(options.runs):
        out = folder / f"tamiz-{number}"
        commands = tamiz_command(paths, options.vocab_size, out), peer_command(lines, options.vocab_size, peer)
        for name, found, command in zip(names, times, commands, strict=True):
            found.append(run(command))
            print(f"run {number + 1}  {name:22}{found[-1][0]:7.1f} s wall {found[-1][1]:7.1f} s CPU", flush=True)
        models.append((out / "spiece.model").read_bytes())
    for kind in (0, 1):
        ours, theirs = (statistics.median(one[kind] for one in found) for found in times)
        print(f"median {('wall', 'CPU')[kind]}: {ours:.1f} s against {theirs:.1f} s, ratio {ours / theirs:.2f}")
    if options.runs > 1:
        print(f"tamiz wrote {'the same bytes' if len(set(models)) == 1 else 'DIFFERENT BYTES'} each time")
    run(tamiz_command(paths[:-1], options.vocab_size, folder / "held"))
    held_out = list(texts(paths[-1:]))
    ours, theirs = (tokens_per_byte(m, held_out) for m in (folder / "held" / "spiece.model", peer))
    print(f"tokens per byte on {Path(paths[-1]).name}: {ours:.6f} against {theirs:.6f}, ratio {ours / theirs:.4f}")


def main() -> None:
    if sys.argv[1:2] == ["--peer"]:
        train_peer(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=SHARED, help="a folder of .jsonl.zst files")
    parser.add_argument("--vocab-size", type=int, default=4900, help="pieces: 5,000 ids minus 100 sentinels")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(options, Path(folder))


if __name__ == "__main__":
    main()
