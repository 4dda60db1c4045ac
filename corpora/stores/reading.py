"""fsspec reads s3://, gs:// and az:// by obstore where their own packages (s3fs, gcsfs, adlfs) aren't installed."""

from __future__ import annotations

import functools
from importlib.util import find_spec

from corpora.addresses import scheme_of
from corpora.stores import access

_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def register() -> None:
    """Cheap after the first call; without obstore, nothing happens. Endpoint and patience are those of now."""
    import fsspec

    for scheme in _registered():
        options = access.patience()
        if scheme in ("s3", "s3a"):
            endpoint = access.endpoint()
            options["config"] = {**access.OPTIONS, **({"endpoint": endpoint} if endpoint else {})}
        fsspec.config.conf.setdefault(scheme, {}).update(options)


def is_ours(address: str) -> bool:
    """Whether a file is read by `corpora.home`: an object store's, whose own package isn't installed."""
    return "::" not in address and scheme_of(address) in _registered()


@functools.cache
def _registered() -> tuple[str, ...]:
    if find_spec("obstore") is None:
        return ()
    from obstore.fsspec import register as by_obstore

    schemes = tuple(scheme for scheme, package in _PACKAGES.items() if find_spec(package) is None)
    for scheme in schemes:
        by_obstore(scheme)
    return schemes
