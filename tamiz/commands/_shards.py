"""The folders that `tamiz train --shards DIR[=WEIGHT]...` names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from corpora import manifest, nearby
from corpora.errors import BadArgument
from corpora.home import Home

if TYPE_CHECKING:
    from corpora.rows.blend import Blend
    from corpora.rows.mixing import MixtureSettings

Folder = str | Path
"""A local folder is a `Path`, one in a store its address."""
Weights = Mapping[Folder, float | None]


def named_shards(given: Sequence[str]) -> dict[Folder, float | None]:
    """The folders and their weights; a folder without a manifest whose folders have one stands for these.

    Raises BadArgument for a weight that isn't above 0, a folder named twice, and weights for only some folders.
    """
    found: dict[Folder, float | None] = {}
    for text in given:
        path, weight = _parsed(text)
        inside = _below(path)
        if inside and weight is not None:
            raise BadArgument(
                f"--shards {text}: {path} holds the shards of several sources; give each its weight, as "
                f"{inside[0]}=0.7"
            )
        for folder in inside or [path]:
            if folder in found:
                raise BadArgument(f"--shards names {folder} twice: name each folder once")
            found[folder] = weight
    without = [str(folder) for folder, weight in found.items() if weight is None]
    if without and len(without) < len(found):
        raise BadArgument(f"--shards {without[0]} has no weight, but others have: give all a weight, or none")
    return found


def _parsed(text: str) -> tuple[Folder, float | None]:
    folder, equals, number = text.rpartition("=")
    if not equals or Path(text).is_dir():
        return _folder(text), None
    try:
        weight = float(number)
    except ValueError:
        raise BadArgument(
            f"--shards {text}: {number!r} is no number; give DIR or DIR=WEIGHT, such as es=0.7"
        ) from None
    if not 0 < weight < math.inf:
        raise BadArgument(f"--shards {text}: the weight is {number}; it must be above 0 and finite")
    return _folder(folder), weight


def _folder(place: str) -> Folder:
    home = Home.of(place)
    return home.folder if home.is_local else home.address


def _below(folder: Folder) -> list[Folder]:
    """The folders of shards in the folder of a run's shards by source."""
    home = Home.of(folder)
    if home.exists(manifest.NAME):
        return []
    return [_folder(home.at(name)) for name in nearby.inside(home, manifest.NAME)]


def tokenizer_beside(shards: Folder) -> Home:
    """The folder `tokenizer` next to the shards, or next to the folder of all sources' shards."""
    run = Home.of(shards).above
    beside, above = run / "tokenizer", run.above / "tokenizer"
    return above if not beside.is_folder() and above.is_folder() else beside


def mixed(given: Weights, mixture: MixtureSettings | None, max_epochs: float | None, rows: int) -> Path | Blend:
    """What to train on, for a training of `rows` rows: one folder (of a store: its copy), or several with their
    weights.

    Raises BadArgument for folders that can't be mixed, and for more epochs of one than are allowed.
    """
    import msgspec

    from corpora.copies import local_folder
    from corpora.rows.blend import Blend, names_of, opened
    from corpora.rows.mixing.base import MAX_EPOCHS
    from corpora.rows.resolve import check_epochs, resolve
    from corpora.rows.shards import read_shards

    if max_epochs is not None and not 0 < max_epochs < math.inf:
        raise BadArgument(f"--max-epochs is {max_epochs}; it must be above 0 and finite")
    if len(given) == 1:
        if max_epochs is not None:
            raise BadArgument("--max-epochs is for mixtures, but --shards names one folder: leave it out")
        return local_folder(next(iter(given)))
    weights = {folder: weight for folder, weight in given.items() if weight is not None}
    if not weights and mixture is not None:
        if max_epochs is not None:
            mixture = msgspec.structs.replace(mixture, max_epochs=max_epochs)
        sources = dict(zip(names_of([Path(folder) for folder in given]), map(read_shards, given), strict=True))
        try:
            mixture.check_names(sources)
        except ValueError as error:
            raise BadArgument(f"{error}; --shards must name the recipe's folders, or give weights") from None
        return resolve(mixture, sources, rows)
    shares: Mapping[Folder, float] = weights or _as_large(given)
    blend = opened(shares)  # type: ignore[arg-type]  # names of either kind
    assert isinstance(blend, Blend), given
    check_epochs(blend, rows, MAX_EPOCHS if max_epochs is None else max_epochs)
    return blend


def _as_large(folders: Iterable[Folder]) -> dict[Folder, int]:
    """Weights in proportion to the folders' rows. Raises BadArgument for a folder without rows."""
    from corpora.rows.blend import require_rows
    from corpora.rows.resolve import SPLIT
    from corpora.rows.shards import read_shards

    rows = {folder: read_shards(folder).facts.rows.get(SPLIT, 0) for folder in folders}
    for folder, own in rows.items():
        require_rows(folder, SPLIT, own)
    return rows
