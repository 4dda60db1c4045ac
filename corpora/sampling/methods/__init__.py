"""Sampling methods, one per file: settings, flags, fit, fitted curve, and what `calibrate` shows.

base       what all methods share     gaussian, stepwise, random    BERTIN's     buckets    CCNet's

A new method is a module with a `Curve` and a `SampleSettings`, the latter registered with METHODS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpora.choices import Choices
from corpora.errors import BadArgument, DamagedFile
from corpora.sampling.curve import Curve
from corpora.sampling.methods.base import SampleSettings

DEFAULT_METHOD = "gaussian"
METHODS: Choices[type[SampleSettings]] = Choices(
    "method",
    "method",
    {
        "gaussian": "corpora.sampling.methods.gaussian:GaussianSettings",
        "stepwise": "corpora.sampling.methods.stepwise:StepwiseSettings",
        "random": "corpora.sampling.methods.random:RandomSettings",
        "buckets": "corpora.sampling.methods.buckets:BucketsSettings",
    },
)

__all__ = ["DEFAULT_METHOD", "METHODS", "Curve", "SampleSettings", "read_curve", "sample_settings"]


def sample_settings(method: str = DEFAULT_METHOD, **settings: Any) -> SampleSettings:
    """Settings of a method by name. Raises BadArgument for an unknown name, msgspec.ValidationError otherwise."""
    converted: SampleSettings = METHODS.convert({"method": method, **settings})
    return converted


def read_curve(values: Mapping[str, Any]) -> Curve:
    """Reads what `Curve.to_builtins` returned. Raises DamagedFile for an unknown name or wrong parameters."""
    types = {_tag(method.curve): method.curve for method in METHODS}
    kind = types.get(values.get("name", ""))
    if kind is None:
        raise DamagedFile(f"the kernel {values.get('name')!r} is unknown; it must be one of {', '.join(types)}")
    try:
        return kind(**{name: value for name, value in values.items() if name != "name"})
    except (TypeError, BadArgument) as error:
        raise DamagedFile(f"the kernel {values['name']} can't be read: {error}") from None


def _tag(curve: type[Curve]) -> str:
    return str(curve.__struct_config__.tag)
