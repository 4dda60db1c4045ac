"""The console script: looks for packages that hide tamiz's own before anything is imported from them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

OWN = ("corpora", "pipelines", "tokenizer_train")


def main() -> None:
    hidden = hidden_package()
    if hidden is not None:
        print(f"error: {hidden}", file=sys.stderr, flush=True)
        sys.exit(1)
    from tamiz.cli import main as run

    run()


def hidden_package() -> str | None:
    """One line about the first of tamiz's packages that is hidden by another one or missing; None if all is well."""
    home = Path(__file__).resolve().parents[1]
    for name in OWN:
        spec = find_spec(name)
        if spec is None:
            return f"the package {name!r} is missing from {home}: install tamiz again"
        folders = [Path(folder).resolve() for folder in spec.submodule_search_locations or ()]
        if home / name not in folders:
            place = folders[0] if folders else spec.origin
            return (
                f"{place} hides tamiz's own package {name!r} ({home / name}): "
                "uninstall or rename it, or run tamiz from another folder"
            )
    return None
