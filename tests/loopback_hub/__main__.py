"""Serves a loopback Hub until ^C: `python -m tests.loopback_hub --way xet --folder /tmp/hub`."""

from __future__ import annotations

import argparse
import shlex
import tempfile
import threading
from pathlib import Path

from tests.loopback_hub.hub import LoopbackHub


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.loopback_hub", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--way", choices=["lfs", "xet"], default="lfs")
    parser.add_argument("--folder", type=Path, help="contents and client caches; default: a temporary one")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as temporary,
        LoopbackHub(chosen.way, chosen.folder or Path(temporary), port=chosen.port) as hub,
    ):
        for name, value in hub.environment().items():
            if name.startswith("HF_"):
                print(f"export {name}={shlex.quote(value)}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
