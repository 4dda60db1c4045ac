"""Wall time and peak memory of a command: python -m benchmarks.measure COMMAND ...

Memory is the proportional set size (PSS) summed over the process tree, sampled every half second: pages that
processes share are counted once.
"""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

SECONDS = 0.5


def tree_pss(process: psutil.Process) -> int:
    """Bytes of PSS of a process and its descendants."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended meanwhile
    return total


def measure(command: list[str]) -> tuple[int, float, int]:
    """(exit code, seconds, peak bytes) of a command."""
    begun, peak = time.monotonic(), 0
    with subprocess.Popen(command) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            if watched.is_running() and watched.status() != psutil.STATUS_ZOMBIE:
                peak = max(peak, tree_pss(watched))
            time.sleep(SECONDS)
    return process.returncode, time.monotonic() - begun, peak


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python -m benchmarks.measure COMMAND ...")
    code, seconds, peak = measure(sys.argv[1:])
    print(f"exit code {code}; {seconds:.1f} s; peak PSS of the process tree {peak / 1e9:.2f} GB")
    sys.exit(code)


if __name__ == "__main__":
    main()
