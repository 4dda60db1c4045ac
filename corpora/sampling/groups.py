"""Fits a sampler to each group of documents: languages, sources, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corpora.errors import BadArgument
from corpora.sampling.curve import Curve
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.methods.base import REST, SampleSettings
from corpora.sampling.solve import quartiles

SHOWN = 12  # most groups listed in a message


@dataclass(frozen=True)
class FittedGroup:
    """A group's keep probability, its quartiles (b0, median, b2), and how many documents both were fitted to."""

    curve: Curve
    quartiles: tuple[float, float, float]
    scored: int


def fit_groups(settings: SampleSettings, groups: Mapping[str, LogHistogram]) -> dict[str, FittedGroup]:
    """The sampler fitted to each group's scores. groups: scores by name, split as `settings.per` says.

    Raises BadArgument for a named group without documents, a group that no value covers although others are named,
    and an unreachable share.
    """
    if not groups:
        raise BadArgument("no document has a score: nothing to sample")
    shares = _shares(settings, {name: scores.total for name, scores in groups.items()})
    fitted = {}
    for name, scores in groups.items():
        try:
            curve = settings.fit(scores, shares.get(name))
        except BadArgument as error:
            where = f"group {name} ({scores.total:,} documents): " if len(groups) > 1 else ""
            raise BadArgument(f"{where}{error}") from None
        fitted[name] = FittedGroup(curve, quartiles(scores), scores.total)
    return fitted


def _shares(settings: SampleSettings, documents: Mapping[str, int]) -> dict[str, float]:
    """The share to keep of each group; empty if the settings give no amount. documents: scored documents by group."""
    shares, numbers = settings.shares, settings.numbers
    _check_named(settings, documents)
    wanted = {name: shares[name] for name in documents if name in shares}
    wanted |= {name: _share(numbers[name], documents[name], name) for name in documents if name in numbers}
    rest = [name for name in documents if name not in wanted]
    if REST in shares:
        wanted |= dict.fromkeys(rest, shares[REST])
    elif REST in numbers and rest:
        wanted |= dict.fromkeys(rest, _share(numbers[REST], sum(documents[name] for name in rest), ""))
    elif wanted and rest:
        raise BadArgument(f"no --keep value covers {_listed(rest)}: add one for all others, such as --keep 0.5")
    return wanted


def _check_named(settings: SampleSettings, documents: Mapping[str, int]) -> None:
    unknown = sorted((settings.shares.keys() | settings.numbers.keys()) - {REST, *documents})
    if unknown:
        flag = "keep" if unknown[0] in settings.shares else "keep-documents"
        listed = _listed([f"{name} ({number:,})" for name, number in documents.items()])
        raise BadArgument(
            f"--{flag} {unknown[0]}: no group per {settings.per} has this name; scored groups are {listed}"
        )


def _share(wanted: int, documents: int, name: str) -> float:
    if wanted > documents:
        group = f" of {name}" if name else ""
        raise BadArgument(f"keep-documents is {wanted:,}, but only {documents:,} documents{group} have a score")
    return wanted / documents


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
