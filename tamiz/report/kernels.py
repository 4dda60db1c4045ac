"""The keep probabilities that a sample was drawn with, as its manifest tells them."""

from __future__ import annotations

from typing import Any

from corpora.documents.groups import group_name
from corpora.sampling.kernels import Kernel, kernel_from_builtins


def kernel_of(facts: dict[str, Any], language: str, source: str) -> Kernel | None:
    """Of the documents of one language and source; None where the sample knows no such group."""
    if "groups" not in facts:
        return kernel_from_builtins(facts["kernel"])
    group = facts["groups"].get(group_name(facts["per"], language, source))
    return kernel_from_builtins(group["kernel"]) if group else None
