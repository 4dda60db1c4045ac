"""Commands of tamiz in one process: python -m benchmarks.sieve_worker JSON, a list of lists of arguments.

Ends with the exit code of the first one that fails, or 0.
"""

from __future__ import annotations

import json
import sys

from tamiz.cli import main


def run(arguments: list[str]) -> int:
    """The exit code of `tamiz ARGUMENTS`."""
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    for given in json.loads(sys.argv[1]):
        if code := run(given):
            sys.exit(code)
