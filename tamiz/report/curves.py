"""Reads the keep-probability curves that a sample was drawn with from its manifest."""

from __future__ import annotations

from typing import Any

from corpora.documents.groups import group_name
from corpora.sampling.methods import Curve, read_curve


def curve_of(facts: dict[str, Any], language: str, source: str) -> Curve | None:
    """The curve of one language and source; None if the sample has no such group."""
    if "groups" not in facts:
        return read_curve(facts["kernel"])
    group = facts["groups"].get(group_name(facts["per"], language, source))
    return read_curve(group["kernel"]) if group else None
