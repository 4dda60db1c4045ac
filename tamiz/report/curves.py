"""Reads the keep-probability curves that a sample was drawn with from its manifest."""

from __future__ import annotations

from typing import Any, cast, get_args

from corpora.documents.groups import Per, group_name
from corpora.errors import DamagedFile
from corpora.sampling.methods import Curve, read_curve


def curve_of(facts: dict[str, Any], language: str, source: str) -> Curve | None:
    """The curve of one language and source; None if the sample has no such group."""
    if "groups" not in facts:
        return read_curve(facts["kernel"])
    group = facts["groups"].get(group_name(_per(facts), language, source))
    return read_curve(group["kernel"]) if group else None


def _per(facts: dict[str, Any]) -> Per:
    """What the groups are. Old manifests list it, such as ["language", "source"]."""
    said = facts.get("per", "all")
    per = ",".join(map(str, said)) or "all" if isinstance(said, list) else said
    if per not in get_args(Per):
        raise DamagedFile(
            f"the sample's manifest says per {said!r}, not {', '.join(get_args(Per)[:-1])}: sample again"
        )
    return cast("Per", per)
