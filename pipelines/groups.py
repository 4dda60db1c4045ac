"""Groups of documents that a sample is fitted to one by one: languages, sources, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corpora.errors import BadArgument
from corpora.perplexity.calibration import Calibration
from corpora.sampling.histogram import LogHistogram
from corpora.sampling.kernels import Buckets, Gaussian, Stepwise, Uniform
from corpora.sampling.solve import fit, quartiles
from pipelines.settings import REST, SampleSettings

SHOWN = 12  # groups in a message

Kernel = Gaussian | Stepwise | Uniform | Buckets


@dataclass(frozen=True)
class FittedGroup:
    """A group's keep probability, its quartiles (b0, median, b2), and the documents that both were fitted to."""

    kernel: Kernel
    quartiles: tuple[float, float, float]
    scored: int


def fit_groups(settings: SampleSettings, calibration: Calibration) -> dict[str, FittedGroup]:
    """What the settings ask for, fitted to each group's scores.

    Raises BadArgument for a group that has no documents, one that nothing is said of while others are named, and a
    share that can't be kept.
    """
    groups = calibration.by(settings.per)
    if not groups:
        raise BadArgument("the scores hold no scored document: nothing to sample")
    shares = _shares(settings, {name: scores.total for name, scores in groups.items()})
    found = {}
    for name, scores in groups.items():
        try:
            found[name] = _fit_group(settings, scores, shares.get(name))
        except BadArgument as error:
            where = f"group {name} ({scores.total:,} documents): " if len(groups) > 1 else ""
            raise BadArgument(f"{where}{error}") from None
    return found


def _fit_group(settings: SampleSettings, scores: LogHistogram, keep: float | None) -> FittedGroup:
    kernel = fit(
        settings.method,
        scores,
        keep=keep,
        factor=settings.factor,
        width=None if isinstance(settings.width, str) else settings.width,  # a name has become a number
        median=settings.median,
        boundaries=settings.boundaries,
        percentiles=settings.percentiles,
        keep_buckets=settings.keep_buckets,
    )
    return FittedGroup(kernel, quartiles(scores), scores.total)


def _shares(settings: SampleSettings, documents: Mapping[str, int]) -> dict[str, float]:
    """The share to keep of each group; empty where the settings say none. documents: scored, by group."""
    shares, numbers = settings.shares, settings.numbers
    _check_named(settings, documents)
    found = {name: shares[name] for name in documents if name in shares}
    found |= {name: _share(numbers[name], documents[name], name) for name in documents if name in numbers}
    rest = [name for name in documents if name not in found]
    if REST in shares:
        found |= dict.fromkeys(rest, shares[REST])
    elif REST in numbers and rest:
        found |= dict.fromkeys(rest, _share(numbers[REST], sum(documents[name] for name in rest), ""))
    elif found and rest:
        raise BadArgument(f"nothing says how much to keep of {_listed(rest)}: add a value for the rest (--keep 0.5)")
    return found


def _check_named(settings: SampleSettings, documents: Mapping[str, int]) -> None:
    unknown = sorted((settings.shares.keys() | settings.numbers.keys()) - {REST, *documents})
    if unknown:
        flag = "keep" if unknown[0] in settings.shares else "keep-documents"
        listed = _listed([f"{name} ({number:,})" for name, number in documents.items()])
        raise BadArgument(
            f"--{flag} {unknown[0]}: no such group per {settings.per} has a scored document; there is {listed}"
        )


def _share(wanted: int, documents: int, name: str) -> float:
    if wanted > documents:
        group = f" of {name}" if name else ""
        raise BadArgument(f"keep-documents is {wanted:,}, but only {documents:,}{group} are scored")
    return wanted / documents


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
