"""The console script: checks that no other package hides tamiz's packages before it imports them.

`corpora`, `pipelines` and `tokenizer_train` are top-level names that other packages, or the folder where tamiz is
started, may also use.
"""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path

OWN = ("corpora", "pipelines", "tokenizer_train")


def main() -> None:
    try:
        problem = hidden_package()
        if problem is not None:
            print(f"error: {problem}", file=sys.stderr, flush=True)
            sys.exit(1)
        from corpora.machine import use_one_heap

        use_one_heap()
        from tamiz.cli import main as run

        run()
    except KeyboardInterrupt:
        print("error: stopped; run the same command again to continue", file=sys.stderr, flush=True)
        sys.exit(130)
    finally:  # all is done or said: while Python ends, ^C would only kill it without a word
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def hidden_package() -> str | None:
    """One line about the first of tamiz's packages that is hidden, replaced or missing; None if all is well."""
    home = Path(__file__).resolve().parents[1]
    for name in OWN:
        spec = find_spec(name)
        folders = [Path(folder).resolve() for folder in (spec and spec.submodule_search_locations) or ()]
        if spec is not None and home / name not in folders:
            place = folders[0] if folders else spec.origin
            return (
                f"{place} hides tamiz's package {name!r} ({home / name}): "
                "uninstall or rename it, or start tamiz in another folder"
            )
        if spec is None or _is_replaced(home, name):
            return (
                f"{home / name} is missing, or another package that was installed has replaced it: "
                "uninstall that package, then install tamiz again (pip install --force-reinstall --no-deps tamiz)"
            )
    return None


def _is_replaced(home: Path, name: str) -> bool:
    """Whether the package's __init__.py differs from what the installation of tamiz recorded, if it recorded any."""
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    path = home / name / "__init__.py"
    for record in home.glob("tamiz-*.dist-info/RECORD"):
        for line in record.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}/__init__.py,sha256="):
                digest = sha256(path.read_bytes()).digest() if path.is_file() else b""
                return line.split(",")[1] != "sha256=" + urlsafe_b64encode(digest).rstrip(b"=").decode()
    return False
