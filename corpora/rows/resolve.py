"""A recipe's mixture of finished shards: how much of each folder a training reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import UNSET

from corpora.errors import BadArgument
from corpora.rows.blend import Blend, require_alike
from corpora.rows.mixing.base import Available, MixtureSettings, Unit
from corpora.rows.shards import Shards

SPLIT = "train"


class Needed(NamedTuple):
    """What a training reads of one source. asked: its share in the mixture's unit. exact: its share of the rows of an
    epoch, in whole rows. rows: about how many the training reads. epochs: of the source's own rows."""

    name: str
    asked: float
    exact: float
    rows: float
    epochs: float


def resolve(settings: MixtureSettings, sources: Mapping[str, Shards], rows: int) -> Blend:
    """The sources with weights, sorted by name, for a training that reads `rows` rows. Reads the manifests only.

    Raises BadArgument for a source without rows, for sources that can't be mixed or whose manifest doesn't state the
    unit, for shares that can't be reached, and for a source of which more than settings.max_epochs would be read.
    """
    sources = dict(sorted(sources.items()))  # so that the order of rows doesn't depend on who names them
    available = {name: _available(name, shards, settings.unit) for name, shards in sources.items()}
    weights = settings.row_shares(available, rows)  # first: it refuses a source without rows
    asked = settings.shares(available, rows)
    first, *others = sources.values()
    for other in others:
        require_alike(first, other)
    blend = Blend(
        tuple(sources.values()),
        tuple(weights[name] for name in sources),
        tuple(sources),
        method=settings.method,
        unit=settings.unit,
        asked=tuple(asked[name] for name in sources),
    )
    check_epochs(blend, rows, settings.max_epochs)
    return blend


def needed(blend: Blend, rows: int) -> list[Needed]:
    """What a training of `rows` rows reads of each source."""
    counts = blend.counts(SPLIT)
    total = sum(counts)
    each = zip(blend.sources, blend.names, blend.asked or blend.shares, counts, strict=True)
    return [
        Needed(name, asked, count / total, rows * count / total, rows * count / total / source.facts.rows[SPLIT])
        for source, name, asked, count in each
    ]


def check_epochs(blend: Blend, rows: int, most: float) -> None:
    """Raises BadArgument for the source that is read most often, if that is more than `most` times."""
    worst = max(needed(blend, rows), key=lambda source: source.epochs)
    own = worst.rows / worst.epochs
    if worst.rows > most * own + 1:  # as shares are rounded to whole rows
        raise BadArgument(
            f"the training reads {rows:,} rows, {worst.exact:.2%} of them from {worst.name}, which has {own:,.0f}: "
            f"that is {worst.epochs:,.1f} epochs of it, and at most {most:g} are allowed (max_epochs); lower its "
            "share or the steps, add documents, or raise max_epochs"
        )


def _available(name: str, shards: Shards, unit: Unit) -> Available:
    """Raises BadArgument if the manifest doesn't state the unit."""
    account = None if shards.facts.account is UNSET else shards.facts.account.get(SPLIT)
    amount = None
    if account is not None:
        amount = {"documents": account.documents, "bytes": account.text_bytes, "tokens": account.row_ids}[unit]
    if amount is None or amount is UNSET:
        raise BadArgument(
            f"the manifest of {shards.folder} doesn't state the {unit} of {name}, as an older tamiz built it: build "
            "it again (--rebuild), or choose another mixture.unit"
        )
    return Available(shards.facts.rows.get(SPLIT, 0), amount)
