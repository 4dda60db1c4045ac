"""Reads files from a loopback Hub, as tamiz does it, checked, and with HfFileSystem: MB/s, alternating.

    python -m benchmarks.hub_read [--files 4] [--megabytes 64] [--rounds 5] [--way lfs]

The server is a process of its own on the same machine, so both share its cores with it. Contents are random bytes.
HfFileSystem is read as tamiz read it before: by blocks of 4 MiB, whose hash is then taken here, for a fair product.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_SERVER = """
import sys, time
from pathlib import Path
from random import Random
from tests.loopback_hub import LoopbackHub
way, folder, files, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
with LoopbackHub(way, folder) as hub:
    hub.create("dataset", "me/random", {f"{n}.bin.gz": Random(n).randbytes(size) for n in range(files)})
    print(hub.url, flush=True)
    time.sleep(10**6)
"""
Reader = Callable[[], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=("lfs", "xet"), default="lfs")
    given = parser.parse_args()
    size = given.megabytes * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        arguments = (given.way, folder, str(given.files), str(size))
        server = subprocess.Popen([sys.executable, "-c", _SERVER, *arguments], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            os.environ |= {"HF_ENDPOINT": server.stdout.readline().strip(), "HF_HUB_DISABLE_TELEMETRY": "1"}
            measure({"tamiz": tamiz, "HfFileSystem": peer}, given.rounds, given.files * size)
        finally:
            server.kill()


def measure(readers: dict[str, Reader], rounds: int, size: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in readers}
    found: dict[str, list[str]] = {}
    for _ in range(rounds):
        for name, read in readers.items():
            begun = time.perf_counter()
            found[name] = read()
            rates[name].append(size / (time.perf_counter() - begun) / 1e6)
    assert len({tuple(hashes) for hashes in found.values()}) == 1, found
    for name, values in rates.items():
        listed = " ".join(f"{value:.0f}" for value in values)
        print(f"{name:14} median {statistics.median(values):6.0f} MB/s   ({listed})")


def tamiz() -> list[str]:
    """Fetched, checked, then read as a format reads it, without taking the hash a second time."""
    from corpora.documents.listing import list_files
    from corpora.hub import tree
    from corpora.hub.opening import verified
    from corpora.hub.remote import RemoteFile

    tree.forget()
    hashes = []
    for listed in list_files(["hf://datasets/me/random/*.gz"]):
        assert listed.size is not None
        assert listed.etag is not None
        assert listed.commit is not None
        with verified(RemoteFile.at(listed.address, listed.commit, listed.size, listed.etag)) as file:
            while file.read(1 << 20):
                pass
        hashes.append(listed.etag)
    return hashes


def peer() -> list[str]:
    from huggingface_hub import HfFileSystem

    system = HfFileSystem(skip_instance_cache=True)
    hashes = []
    for path in sorted(str(path) for path in system.glob("datasets/me/random/*.gz")):
        with system.open(path, "rb", block_size=1 << 22) as file:
            digest = hashlib.sha256()
            while piece := file.read(1 << 20):
                digest.update(piece)
        hashes.append(digest.hexdigest())
    return hashes


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
