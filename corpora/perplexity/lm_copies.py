"""A language model of a store as local files: LM.bin, LM.json and its tokenizer, fetched once by a machine.

They are known by the sha256 that LM.json has, kept in the machine's cache, and mapped from there.
"""

from __future__ import annotations

from pathlib import Path

from corpora.errors import BadArgument
from corpora.files import is_local
from corpora.home import Home, exists, local, of_file
from corpora.perplexity.lm_manifest import read_manifest
from corpora.stores import cache
from corpora.stores.views import view


def local_lm(path: str | Path) -> Path:
    """The path itself; of an address, that of a checked copy, with what belongs to the model beside it.

    Raises BadArgument if there is no such file, DamagedFile if it isn't what LM.json says.
    """
    if is_local(str(path)):
        return Path(path)
    home, name = of_file(path)
    stem = name.removesuffix(".bin")
    if not home.exists(f"{stem}.json"):
        copy = _fetched(home, name)
        return view(cache.folder(), copy.name[:32], {name: copy}) / name
    described = _fetched(home, f"{stem}.json")
    beside = view(cache.folder(), described.name[:32], {f"{stem}.json": described})
    content = read_manifest(beside / name)
    assert content is not None, beside
    wanted = {name: content.lm_sha256, f"{stem}.spiece.model": content.tokenizer_sha256}
    copies = {each: _fetched(home, each, sha256) for each, sha256 in wanted.items() if sha256}
    return view(cache.folder(), described.name[:32], copies) / name


def local_tokenizer(path: str | Path | None) -> Path | None:
    """As `local_lm`, for the tokenizer of a model without LM.json."""
    if path is None or is_local(str(path)):
        return None if path is None else Path(path)
    try:
        return local(path)
    except FileNotFoundError as error:
        raise BadArgument(f"tokenizer {path}: no such file") from error


def has_manifest(path: str | Path) -> bool:
    """Whether LM.json is beside a model."""
    home, name = of_file(path)
    return exists(home.at(f"{name.rpartition('.')[0] or name}.json"))


def _fetched(home: Home, name: str, sha256: str | None = None) -> Path:
    try:
        return home.fetched(name, sha256)
    except FileNotFoundError as error:
        raise BadArgument(f"language model {home.at(name)}: no such file") from error
