"""`python -m tests.loopback_store --port 9000`: the loopback store as a process of its own; ^C ends it."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path

from tests.loopback_store.faults import Faults
from tests.loopback_store.server import LoopbackStore


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--root", type=Path, help="where the objects lie; default: a temporary folder")
    parser.add_argument("--refuse", type=float, default=0.0, help="the share of requests that is answered 503")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = LoopbackStore(given.root or Path(folder), given.port, Faults(refuse=given.refuse))
        for name, value in store.environment.items():
            print(f"export {name}={value}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            store.server.serve_forever()


if __name__ == "__main__":
    main()
