"""Every fault of the Hub, reading and publishing, both ways: `python -m benchmarks.hub_faults [PARTS]`.

Against the tests' loopback Hub, by a client that waits for milliseconds where it usually waits for seconds. Each line
is a fault and where it strikes: how often the result was right, a clear error, or wrong, and the seconds at most.
Right: the rows or files are those that they should be. A clear error: one line, no traceback, nothing published but
the old version. Anything else is wrong. PARTS: `reading`, `publishing`; default both.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.errors import TamizError
from tests.loopback_hub import LoopbackHub
from tests.loopback_hub.faults import KINDS, RANGES
from tests.reading_hub import gz, lines, parquet, read_from
from tests.uploads import CARD, Bounds, client, contents, local, output, remote

ALWAYS = 10**6
OFTEN = {"once": 1, "twice": 2, "always": ALWAYS}
FILES = {"es/a.json.gz": gz(lines(0, 400)), "es/b.parquet": parquet(1000, 400), "es/c.jsonl": lines(2000, 60)}
READS = [
    ("json.gz", "get", "es/a*"), ("Parquet", "get", "es/b*"), ("small file in git", "get", "es/c*"),
    ("the way to a content", "resolve", "es/*"), ("listing", "tree", "es/*"), ("commit of it", "revision", "es/*"),
]  # fmt: skip
ROUTES = ("revision", "tree", "get", "preupload", "validate", "commit", "discussions")
SECONDS = {"rate_limit": 0, "slow": 0.3}
OWN_ROUTES = {"lfs": ("batch", "lfs_put", "verify"), "xet": ("xet_token",)}
Case = tuple[str, str, str]  # kind of fault, where, how often


def reads(way: str) -> Iterator[tuple[Case, str, float]]:
    with contextlib.ExitStack() as patch_in:
        patch = patch_in.enter_context(pytest.MonkeyPatch.context())
        folder = patch_in.enter_context(tempfile.TemporaryDirectory())
        hub = patch_in.enter_context(LoopbackHub(way, Path(folder) / "hub", page_size=2))
        hub.create("dataset", "me/mc4", FILES)
        read_from(hub, patch, Path(folder))
        right = {pattern: _texts(pattern) for _, _, pattern in READS}
        for kind, (where, route, pattern), (often, times) in product(KINDS, READS, OFTEN.items()):
            hub.calm()
            read_from(hub, patch, Path(folder))
            if kind in RANGES:
                hub.fault(route, "cut", times=times, when=lambda asked: "Range" not in asked.headers)
            hub.fault(route, kind, times=times, seconds={"slow": 0.3, "rate_limit": 1}.get(kind, 2))
            found = _timed(lambda p=pattern: "right" if _texts(p) == right[p] else "wrong")
            if hub.fired_kinds()[kind]:
                yield (kind, where, often), *found


def _texts(pattern: str) -> list[str]:
    """Raises TamizError for a damaged file as well."""
    found = []
    for item in work_items([f"hf://datasets/me/mc4/{pattern}"]):
        for batch in read_batches(item):
            if batch.damage:
                raise TamizError(batch.damage)
            found += batch.texts
    return found


def _timed(call: Callable[[], str]) -> tuple[str, float]:
    begun = time.monotonic()
    try:
        outcome = call()
    except TamizError as error:
        outcome = "error" if "\n" not in str(error) else "wrong"
    except Exception as error:
        print(repr(error), file=sys.stderr)
        outcome = "wrong"
    return outcome, time.monotonic() - begun


def publishes(way: str) -> Iterator[tuple[Case, str, float]]:
    """In one commit, and in a pull request of several."""
    for most in (1000, 3):
        with tempfile.TemporaryDirectory() as folder, LoopbackHub(way, Path(folder) / "hub") as hub:
            version = 0
            with client(hub):
                _upload(output(Path(folder) / "x", _version(version)))
            kinds = [kind for kind in KINDS if kind not in RANGES]
            routes = (*OWN_ROUTES[way], *ROUTES) if most == 1000 else ("discussions", "commit")
            for kind, route, often in product(kinds, routes, ("once", "always")):
                hub.calm()
                version += 1
                made = output(Path(folder) / "x", _version(version))
                hub.fault(route, kind, times=OFTEN[often], seconds=SECONDS.get(kind, 10))
                with client(hub, patience=4 if often == "once" else 0.4, bounds=Bounds(most=most)):
                    found = _timed(lambda made=made: _published(hub, made))
                if hub.fired_kinds()[kind]:
                    yield (kind, f"{route}, of a pull request" if most == 3 else route, often), *found


def _version(n: int) -> dict[str, bytes]:
    return {**contents(n, number=2, size=3000), "README.md": f"{CARD}\nVersion {n}.\n".encode()}


def _published(hub: LoopbackHub, folder: Path) -> str:
    before = remote(hub, "me/x")
    code, said = _upload(folder)
    now = remote(hub, "me/x")
    if code == 0:
        return "right" if now == local(folder) else "wrong"
    said_well = code == 1 and said.count("\n") == 1
    return "error" if said_well and now == before else f"wrong: {said}"


def _upload(folder: Path) -> tuple[int, str]:
    from tamiz.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            main(["upload", str(folder), "--repo", "me/x"])
        except SystemExit as ended:
            return int(ended.code or 0), said.getvalue()
    return 0, said.getvalue()


def table(way_of: Callable[[str], Iterator[tuple[Case, str, float]]]) -> Counter[str]:
    """Prints a line for each fault and place, both ways together."""
    lines: dict[tuple[str, str], tuple[Counter[str], list[float]]] = {}
    for way in ("lfs", "xet"):
        for (kind, where, often), outcome, seconds in way_of(way):
            told, took = lines.setdefault((kind, where), (Counter(), []))
            told[f"{often}: {outcome}"] += 1
            took.append(seconds)
            if outcome not in ("right", "error"):
                print(way, kind, where, often, outcome, file=sys.stderr)
    print("| fault | where | right, error or wrong, of both ways | seconds at most |\n|---|---|---|---|")
    total: Counter[str] = Counter()
    for (kind, where), (told, took) in lines.items():
        print(f"| {kind} | {where} | {', '.join(f'{key} {n}' for key, n in told.items())} | {max(took):.1f} |")
        for key, n in told.items():
            total[key.split(": ")[1].split(":")[0]] += n
    print(f"\n{total['right']} were right, {total['error']} a clear error, {total['wrong']} wrong.\n", flush=True)
    return total


if __name__ == "__main__":
    for part in sys.argv[1:] or ("reading", "publishing"):
        print(f"## {part.capitalize()}\n")
        table({"reading": reads, "publishing": publishes}[part])
