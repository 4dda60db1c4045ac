"""The kenlm library (an optional extra), for files that only it reads: ARPA, tries, quantised or with rest costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpora import extras
from corpora.errors import DamagedFile, TamizError


def mass_of(model: Any, pieces: Sequence[str]) -> float:
    """As `ProbingModel.mass_of`, for a `kenlm.Model`, whose unigrams can't be listed: they add up to 1."""
    apart = {"<s>", "</s>", "<unk>"}
    probabilities = {word: 10.0 ** model.score(word, bos=False, eos=False) for word in ("<unk>", "</s>")}
    known = {piece for piece in pieces if piece in model} - apart
    mass = sum(10.0 ** model.score(piece, bos=False, eos=False) for piece in sorted(known))
    return float(mass / (1.0 - sum(probabilities.values())))


def load_kenlm(path: Path) -> Any:
    """A `kenlm.Model`. Raises TamizError if kenlm isn't installed, DamagedFile if it can't load the file."""
    try:
        import kenlm
    except ImportError:
        raise TamizError(
            f"{path} is not a probing binary, and reading it needs kenlm: {extras.line('kenlm')}, or convert it "
            f"with build_binary"
        ) from None
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(str(path), config)
    except (OSError, RuntimeError) as error:
        raise DamagedFile(f"{path}: kenlm can't load it ({' '.join(str(error).split())[:200]})") from None
