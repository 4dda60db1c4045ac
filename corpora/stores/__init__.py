"""Where output folders lie: a local folder, an object store, or anything else that fsspec reads and writes.

`corpora.home.Home` is the door; a store behind it knows one kind of place. What they share is in `base.py`.
"""

from __future__ import annotations

import functools

from corpora.addresses import scheme_of
from corpora.stores.base import Store

OBJECTS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "azure": "az", "abfs": "az", "abfss": "az"}


@functools.lru_cache(256)
def store_of(address: str) -> Store:
    """The store at an address, as `corpora.addresses.plain` writes it. Cheap: nothing is asked of it yet."""
    scheme = scheme_of(address)
    if not scheme:
        from corpora.stores.folder import Folder

        return Folder(address)
    if scheme in OBJECTS:
        from corpora.stores.objects import Objects

        return Objects(address, OBJECTS[scheme])
    from corpora.stores.elsewhere import Elsewhere

    return Elsewhere(address)
