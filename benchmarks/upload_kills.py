"""Uploads that are killed after a random number of answers of the Hub: `python -m benchmarks.upload_kills [NUMBER]`.

Both ways, against the tests' loopback Hub. For each kill: after how many answers, whether the repository then was the
old or the new one, the bytes that had arrived, and the bytes that travelled in all until the next upload finished. A
content is 400,000 bytes in 20 files; 400,000 in all mean that what had arrived didn't travel again. Then as many
beside another uploader, which publishes other versions in the same repository: every commit must be a version of one
of them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.loopback_hub import LoopbackHub
from tests.uploads import killed_uploads, rival_uploads


def main(number: int) -> None:
    print("| way | killed after | then | arrived before the kill | sent in all | sent twice |")
    print("|---|---|---|---|---|---|")
    wrong = killed = 0
    for way in ("lfs", "xet"):
        with tempfile.TemporaryDirectory() as folder, LoopbackHub(way, Path(folder) / "hub") as hub:
            for each in killed_uploads(hub, Path(folder) / "x", number, seed=20261130):
                killed += bool(each["killed"])
                wrong += not each["whole"] or bool(each["twice"])
                moment = f"{each['after']} answers" if each["killed"] else "not killed: it was done"
                seen = f"{each['arrived']:,} | {each['sent']:,} | {each['twice']}"
                print(f"| {way} | {moment} | {each['state']} | {seen} |", flush=True)
    print(f"\n{killed} were killed. {wrong} left the repository between two versions, or sent a content twice.")
    for way in ("lfs", "xet"):
        with tempfile.TemporaryDirectory() as folder, LoopbackHub(way, Path(folder) / "hub") as hub:
            seen = rival_uploads(hub, Path(folder) / "x", number, seed=20261130)
            print(
                f"{way}, beside another uploader: {', '.join(f'{key}: {n}' for key, n in seen.items())}", flush=True
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
