"""fsspec reads s3://, gs:// and az:// by obstore where their own packages (s3fs, gcsfs, adlfs) aren't installed."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Any

from corpora.stores import access

_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


@functools.cache
def register() -> None:
    """Once per process; without obstore, nothing happens."""
    if find_spec("obstore") is None:
        return
    import fsspec
    from obstore.fsspec import register as by_obstore

    for scheme in (scheme for scheme, package in _PACKAGES.items() if find_spec(package) is None):
        by_obstore(scheme)
        options: dict[str, Any] = {**access.patience(), "config": access.OPTIONS if scheme in ("s3", "s3a") else {}}
        fsspec.config.conf.setdefault(scheme, {}).update({k: v for k, v in options.items() if v})
