"""The files of a language model and how it is used: mode and tokenizer.

They come from LM.json or, for a foreign model, from the user. Everything is checked, nothing is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from corpora.errors import BadArgument
from corpora.lm_json import manifest_path, tokenizer_path
from corpora.perplexity.lm_copies import local_lm, local_tokenizer
from corpora.perplexity.lm_header import LmHeader, check_lm
from corpora.perplexity.lm_manifest import LmManifest, check_sha256, check_trusted, read_manifest, recorded_sha256
from corpora.perplexity.settings import ScoringMode
from corpora.text.normalise import CCNET, Normaliser


@dataclass(frozen=True)
class LmFiles:
    """A model that is safe to open. tokenizer: None in mode bertin. sha256: keys lm_sha256, tokenizer_sha256."""

    path: Path
    header: LmHeader
    mode: ScoringMode
    tokenizer: Path | None
    sha256: dict[str, str | None]
    normaliser: Normaliser = CCNET
    foreign: bool = False
    """Whether no LM.json says what belongs together."""


def check_is_file(path: str | Path) -> Path:
    """Raises BadArgument unless the path is that of a file."""
    lm = local_lm(path)
    if lm.is_dir():
        found = sorted(lm.glob("*.bin")) or [lm / "lm.bin"]
        raise BadArgument(f"language model {lm} is a folder: name the file in it, such as {found[0]}")
    if not lm.is_file():
        raise BadArgument(f"language model {lm}: no such file")
    return lm


def resolve_lm(
    path: str | Path,
    tokenizer: str | Path | None = None,
    mode: str | None = None,
    *,
    trust: bool = False,
    normaliser: Normaliser = CCNET,
) -> LmFiles:
    """The files and the mode that `path`, a KenLM file, must be used with. Its header, size and sha256 are checked.

    Files of a store are copied to this machine's cache, whose copies are used.

    If LM.json is beside it, tokenizer and mode come from there, and others are refused. A foreign model
    needs `mode`, and a tokenizer (a SentencePiece model) unless the mode is bertin; their sha256 are recorded at
    first use. trust: also open a type that kenlm loads (see check_trusted) without a recorded sha256. normaliser:
    what a foreign model of pieces was trained with.
    Raises BadArgument for a missing file or a mismatch, DamagedFile for a file that has changed.
    """
    lm = check_is_file(path)
    header = check_lm(lm)
    chosen = local_tokenizer(tokenizer)
    manifest = read_manifest(lm)
    if manifest is not None:
        if normaliser != CCNET:
            raise BadArgument(
                f"lower_case and remove_accents are for a model without LM.json, but {manifest_path(lm)} is there: "
                "leave them out"
            )
        return _described(lm, header, chosen, mode, manifest)
    if mode == "bertin" and normaliser != CCNET:
        raise BadArgument(f"{lm}: mode bertin scores raw words: leave lower_case and remove_accents out")
    return replace(_foreign(lm, header, chosen, mode, trust), normaliser=normaliser, foreign=True)


def _described(lm: Path, header: LmHeader, tokenizer: Path | None, mode: str | None, manifest: LmManifest) -> LmFiles:
    """Resolves a model that has LM.json."""
    says = manifest_path(lm)
    if mode not in (None, manifest.mode):
        raise BadArgument(f"mode is {mode!r}, but {says} says {manifest.mode!r}: leave it out")
    if manifest.tokenizer_sha256 is None and tokenizer is not None:
        raise BadArgument(f"tokenizer {tokenizer}: {says} says that the model scores raw words: leave it out")
    sha256: dict[str, str | None] = {
        "lm_sha256": check_sha256(lm, manifest.lm_sha256, says),
        "tokenizer_sha256": None,
    }
    if manifest.tokenizer_sha256 is None:
        return LmFiles(lm, header, manifest.mode, None, sha256)
    if tokenizer is not None and not tokenizer.is_file():
        why = "is a folder" if tokenizer.is_dir() else "no such file"
        raise BadArgument(f"tokenizer {tokenizer}: {why}; leave it out: {says} names the model's own")
    tokenizer = tokenizer or tokenizer_path(lm)
    if not tokenizer.is_file():
        raise BadArgument(f"tokenizer {tokenizer}: no such file; {says} says that the model needs it")
    sha256["tokenizer_sha256"] = check_sha256(tokenizer, manifest.tokenizer_sha256, says)
    return LmFiles(lm, header, manifest.mode, tokenizer, sha256)


def _foreign(lm: Path, header: LmHeader, tokenizer: Path | None, mode: str | None, trust: bool) -> LmFiles:
    """Resolves a model without LM.json."""
    modes = get_args(ScoringMode)
    if mode not in modes:
        raise BadArgument(f"{lm} has no {manifest_path(lm).name} beside it: mode must be one of {', '.join(modes)}")
    if (mode == "bertin") != (tokenizer is None):
        needs = "takes no tokenizer: it scores raw words" if tokenizer else "needs the model's tokenizer"
        raise BadArgument(f"{lm}: mode {mode} {needs}")
    if tokenizer is not None and not tokenizer.is_file():
        raise BadArgument(f"tokenizer {tokenizer}: no such file")
    sha256 = {
        "lm_sha256": check_trusted(lm, header.type, trust=trust),
        "tokenizer_sha256": None if tokenizer is None else recorded_sha256(tokenizer),
    }
    return LmFiles(lm, header, cast(ScoringMode, mode), tokenizer, sha256)
