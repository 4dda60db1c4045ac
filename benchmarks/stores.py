"""Writes to an object store on the loopback, and stages with their output there instead of in a folder.

    python -m benchmarks.stores [--rounds 3] [--megabytes 8] [--s3fs PYTHON]

First: files of 64 MB and of 1 MB, by `corpora.home` (obstore), by obstore alone, and by s3fs, if PYTHON names an
interpreter that has it. Then `tamiz score` and `tamiz shards build` of some Spanish text, into a folder and into the
store, in turns. The store is a process of its own: its time isn't counted, but it shares the machine. Prints
processor and wall seconds: the best round of each, and the ratio of the store to the folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent.parent
CORPORA = HERE.parent / "shared" / "corpora"
FILES = ((64_000_000, 4), (1_000_000, 64))  # bytes, how many
_S3FS = """
import os, resource, sys, time, s3fs
path, count = sys.argv[1], int(sys.argv[2])
there = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
there.put_file(path, "tests/warm")
begun, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
for number in range(count):
    there.put_file(path, f"tests/s3fs/{number}")
now = resource.getrusage(resource.RUSAGE_SELF)
print(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, time.monotonic() - begun)
"""

Taken = tuple[float, float]
"""Processor seconds and wall seconds."""


@contextlib.contextmanager
def store() -> Iterator[None]:
    """A store in a process of its own; its variables are set in this one."""
    command = [sys.executable, "-m", "tests.loopback_store"]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            for _ in range(5):
                name, _, value = server.stdout.readline().removeprefix("export ").strip().partition("=")
                os.environ[name] = value
            yield
        finally:
            server.terminate()


def timed(work: Callable[[], object], who: int = resource.RUSAGE_SELF) -> Taken:
    begun, used = time.monotonic(), resource.getrusage(who)
    work()
    now = resource.getrusage(who)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, time.monotonic() - begun


def writers(path: Path, count: int, s3fs: str | None) -> dict[str, Callable[[], Taken]]:
    """How a file is written `count` times, by what writes it."""
    import obstore

    from corpora.home import Home
    from corpora.stores import access

    home, client = Home.of("s3://tests/home"), access.client("s3", "tests", "s3://tests")

    def by_home() -> None:
        for number in range(count):
            home.send(f"{time.monotonic_ns()}-{number}", path)

    def by_obstore() -> None:
        for number in range(count):
            obstore.put(client, f"obstore/{number}", path)

    def by_s3fs() -> Taken:
        command = [str(s3fs), "-c", _S3FS, str(path), str(count)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        cpu, wall = map(float, ended.stdout.split())
        return cpu, wall

    found: dict[str, Callable[[], Taken]] = {
        "corpora.home (hashed, sent, checked)": lambda: timed(by_home),
        "obstore alone": lambda: timed(by_obstore),
    }
    return found | ({"s3fs": by_s3fs} if s3fs else {})


def in_turns(works: dict[str, Callable[[int], Taken]], rounds: int) -> dict[str, Taken]:
    """The best processor time and the best wall time of each."""
    taken: dict[str, list[Taken]] = {name: [] for name in works}
    for number in range(rounds):
        for name, work in works.items():
            taken[name].append(work(number))
    return {name: (min(t[0] for t in each), min(t[1] for t in each)) for name, each in taken.items()}


def write_files(folder: Path, rounds: int, s3fs: str | None) -> None:
    for size, count in FILES:
        path = folder / f"{size}"
        path.write_bytes(os.urandom(size))
        works = {n: (lambda _, work=work: work()) for n, work in writers(path, count, s3fs).items()}
        for name, (cpu, wall) in in_turns(works, rounds).items():
            rate = size * count / 1e6 / wall
            print(
                f"| {count} files of {size // 10**6} MB | {name} | {cpu:.2f} | {wall:.2f} | {rate:,.0f} |", flush=True
            )


def stages(folder: Path, megabytes: int) -> dict[str, list[str]]:
    """Command lines without --out, on so much text; the language model is made first."""
    from corpora.documents.items import work_items
    from corpora.documents.reading import read_batches

    text = folder / "text.txt"
    with text.open("w") as file:
        for item in work_items([f"{CORPORA}/es/*.jsonl.zst"]):
            for batch in read_batches(item):
                file.writelines(f"{' '.join(one.split())}\n" for one in batch.texts)
            if file.tell() > megabytes * 1_000_000:
                break
    lm = str(folder / "lm.bin")
    small = ["--order", "3", "--train-tokenizer", "2000"]
    tamiz(["lm", "train", "--input", str(text), *small, "--out", lm])
    build = ["shards", "build", "--tokenizer", "byt5", "--objective", "causal", "--sequence-length", "512"]
    return {
        "score": ["score", "--input", str(text), "--lm", lm],
        "shards": [*build, "--input", str(text)],
    }


def tamiz(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "tamiz", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=HERE)


def run_stages(folder: Path, rounds: int, megabytes: int) -> None:
    for name, command in stages(folder, megabytes).items():

        def into(place: str, number: int, name: str = name, command: Sequence[str] = command) -> Taken:
            out = f"{place}/{name}-{number}"
            return timed(lambda: tamiz([*command, "--out", out]), resource.RUSAGE_CHILDREN)

        places = {"folder": str(folder / "near"), "store": "s3://tests/far"}
        works = {at: (lambda number, place=place, into=into: into(place, number)) for at, place in places.items()}
        best = in_turns(works, rounds)
        for at, (cpu, wall) in best.items():
            print(f"| {name} | {at} | {cpu:.2f} | {wall:.2f} | |", flush=True)
        cpu, wall = (best["store"][n] / best["folder"][n] for n in (0, 1))
        print(f"| {name} | store : folder | {cpu:.3f} | {wall:.3f} | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=8, help="text for the stages")
    parser.add_argument("--s3fs", metavar="PYTHON", help="an interpreter with s3fs")
    given = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load {', '.join(f'{n:.1f}' for n in os.getloadavg())}"
    )
    print("\n| what | how | processor s | wall s | MB/s |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, store():
        write_files(Path(folder), given.rounds, given.s3fs)
        run_stages(Path(folder), given.rounds, given.megabytes)


if __name__ == "__main__":
    main()
