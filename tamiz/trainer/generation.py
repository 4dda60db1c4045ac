"""Generates text with a trained model."""

from __future__ import annotations

import json
from pathlib import Path

from corpora.errors import BadArgument, DamagedFile
from tamiz.trainer.families import FAMILIES, ModelSettings
from tamiz.trainer.families.decoding import NUM_BEAMS, Sampling


def generate(
    folder: str | Path,
    text: str,
    *,
    max_new_tokens: int | None = None,
    num_beams: int = NUM_BEAMS,
    sampling: Sampling | None = None,
) -> str:
    """Fills the masked spans of a text or continues it, depending on the model's family: with the most likely text,
    or with one drawn at random (sampling).

    Raises BadArgument if the folder has no model of a known family or the text doesn't suit the family.
    """
    family = family_of(Path(folder))
    drawn = {} if sampling is None else {"sampling": sampling.checked()}
    return family.generate(folder, text, max_new_tokens=max_new_tokens, num_beams=num_beams, **drawn)


def family_of(folder: Path) -> type[ModelSettings]:
    """The first family of an exported model's type, from its config.json. Raises BadArgument if it is unknown."""
    path = folder / "config.json"
    if not path.is_file():
        what = "has no trained model" if folder.is_dir() else "is not a folder"
        of_run = folder / "model" if (folder / "model" / path.name).is_file() else None
        raise BadArgument(f"{folder} {what}: name {of_run or 'the folder that `tamiz train` or `run` wrote'}")
    try:
        model_type = json.loads(path.read_bytes()).get("model_type")
    except (ValueError, AttributeError) as error:
        raise DamagedFile(f"{path} is damaged ({error}): train the model again") from None
    for family in FAMILIES:
        if family.model_type == model_type:
            return family
    known = ", ".join(dict.fromkeys(family.model_type for family in FAMILIES))
    raise BadArgument(f"{path} has model_type {model_type!r}, which no family has; known model types: {known}")
