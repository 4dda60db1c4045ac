"""A finished folder of a store as a local folder: a tokenizer, shards. Each file is fetched once by a machine."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from corpora import manifest
from corpora.errors import BadArgument
from corpora.files import is_local
from corpora.home import Home, Place, of_file
from corpora.stores import cache
from corpora.stores.views import view

THREADS = 4
MOST_UNLISTED = 64  # files of a folder without a manifest: a tokenizer of another program has a few


def local_tokenizer(name: str) -> str:
    """A tokenizer's name, folder or file as `load_encoder` takes it: an address as the path of its copy."""
    if is_local(name) or name.startswith("hf://"):
        return name
    home, last = of_file(name)
    if not last.endswith((".model", ".json")):
        return str(local_folder(name))
    copy = home.fetched(last)
    return str(view(cache.folder(), copy.name[:32], {last: copy}) / last)


def local_folder(place: Place) -> Path:
    """The folder itself, or copies of all files that its manifest names, checked by its checksums.

    Of a folder without a manifest, all files are copied. Raises DamagedFile, BadArgument if there is nothing.
    """
    home = Home.of(place)
    if home.is_local:
        return home.folder
    if home.exists(manifest.NAME):
        content = manifest.read(home)
        wanted: dict[str, str | None] = {record.path: record.sha256 for record in content.files}
        wanted[manifest.NAME] = None
    else:
        wanted = dict.fromkeys(home.entries())
        if not wanted or len(wanted) > MOST_UNLISTED:
            said = f"{len(wanted)} files and no {manifest.NAME}" if wanted else "no files"
            raise BadArgument(f"{home} has {said}: name a folder that tamiz made, or of a tokenizer")
    with ThreadPoolExecutor(THREADS) as pool:
        paths = list(pool.map(lambda each: home.fetched(*each), wanted.items()))
    digest = hashlib.sha256("\n".join(f"{n} {p.name}" for n, p in zip(wanted, paths, strict=True)).encode())
    return view(cache.folder(), digest.hexdigest()[:32], dict(zip(wanted, paths, strict=True)))
