"""How to install an optional part of tamiz from where this tamiz came: it is on no package index."""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HOME = Path(__file__).resolve().parents[1]
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


def line(extra: str, home: Path = HOME) -> str:
    """A command that installs the extra, such as `pip install '/home/me/tamiz[train]'`.

    home: the folder of the packages that run; if it is a checkout, the command names it.
    """
    found = _installed()
    origin = json.loads((found.read_text("direct_url.json") if found else None) or "{}")
    if (home / "pyproject.toml").is_file() and (home / "tamiz").is_dir():
        origin = {**origin, "url": home.as_uri()}
    place = _place(origin, extra)
    if place or found is None:
        return _pip(*(["-e"] if _is_editable(origin) else []), place or f"{home}[{extra}]")
    return _pip(*_requirements(found, extra))


def _installed() -> Distribution | None:
    try:
        return distribution("tamiz")
    except PackageNotFoundError:
        return None


def _is_editable(origin: dict[str, Any]) -> bool:
    return bool(origin.get("dir_info", {}).get("editable"))


def _place(origin: dict[str, Any], extra: str) -> str | None:
    """What pip must be given to install from the place that it recorded (PEP 610); None if that is gone."""
    url = re.sub(r"(?<=://)[^/@\s]+@", "", str(origin.get("url") or ""))
    version = origin.get("vcs_info")
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme == "file" and path.is_dir():
        return f"{path}[{extra}]"
    if version:
        return f"tamiz[{extra}] @ {version.get('vcs', 'git')}+{url}@{version.get('commit_id')}"
    return f"tamiz[{extra}] @ {url}" if parts.scheme in ("http", "https") or path.is_file() else None


def _requirements(found: Distribution, extra: str) -> list[str]:
    """What the extra consists of: right wherever tamiz came from."""
    listed = [text.partition(";") for text in found.requires or ()]
    return [name.strip() for name, _, marker in listed if extra in _EXTRA.findall(marker)]


def _pip(*arguments: str) -> str:
    return " ".join(["pip install", *(a if a == shlex.quote(a) else f"'{a}'" for a in arguments)])
