"""The `configs` of a card's front matter: which files `load_dataset` reads under which name and as which split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpora import manifest
from corpora.manifest import Manifest

Config = dict[str, Any]

_NOT_IN_NAMES = re.compile(r'[<>:/\\|?*"]')  # of a config, which `datasets` makes a folder of
_SPLITS = ("train", "validation")


def of_sample(content: Manifest, where: str = "", name: str = "default") -> Config:
    """where: the folder in the repository, ending with /."""
    path = f"{where}part-*.{content.made_from.settings.get('format', 'parquet')}"
    return {"config_name": name, "data_files": [{"split": "train", "path": path}]}


def of_shards(content: Manifest, where: str = "", name: str = "default") -> Config:
    """Only the splits that have files: a pattern without any is an error."""
    held = [split for split in _SPLITS if any(r.path.startswith(f"{split}/") for r in content.files)]
    files = [{"split": split, "path": f"{where}{split}/*.parquet"} for split in held]
    return {"config_name": _NOT_IN_NAMES.sub("-", name), "data_files": files}


def of_scores() -> Config:
    return {"config_name": "default", "data_files": [{"split": "train", "path": "*.parquet"}]}


def of_run(parts: Sequence[tuple[str, Manifest]]) -> list[Config]:
    """parts: folders of the run and their manifests. A name alone loads the sample, else the first of the others."""
    found: list[Config] = []
    for where, content in parts:
        name = where.replace("/", "-")
        if content.stage == "sample":
            found.insert(0, of_sample(content, f"{where}/"))
        elif content.stage == "shards":
            found.append(of_shards(content, f"{where}/", name))
    found = [config for config in found if config["data_files"]]
    if len(found) > 1 and found[0]["config_name"] != "default":
        found[0]["default"] = True
    return found


def parts_of(run: Path) -> list[tuple[str, Manifest]]:
    """The finished folders in a run, by name: (path in the run, manifest). Shards by source lie one folder deeper."""
    homes = sorted(path.parent for depth in ("*", "*/*") for path in run.glob(f"{depth}/{manifest.NAME}"))
    read = [(home.relative_to(run).as_posix(), manifest.read(home)) for home in homes]
    return [(where, content) for where, content in read if content.finished]
