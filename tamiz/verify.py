"""Checks output folders against their manifests, with the checks of every stage."""

from __future__ import annotations

from corpora import verify as generic
from corpora.home import Place
from corpora.verify import is_described, notes
from tamiz.stages import STAGES

__all__ = ["is_described", "notes", "verify"]


def verify(folder: Place) -> tuple[int, list[str]]:
    """Checks `folder` and every folder below it that has a manifest.

    Returns the number of files checked and the problems, one line each. Raises DamagedFile if there is no manifest.
    """
    return generic.verify(folder, {stage.name: stage.check for stage in STAGES if stage.check})
