"""fsspec reads s3://, gs:// and az:// by obstore where their own packages (s3fs, gcsfs, adlfs) aren't installed."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Any

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
    import fsspec
    from obstore.fsspec import register as by_obstore

    schemes = tuple(scheme for scheme, package in _PACKAGES.items() if find_spec(package) is None)
    for scheme in schemes:
        by_obstore(scheme)
        fsspec.register_implementation(scheme, _reading(fsspec.get_filesystem_class(scheme)), clobber=True)
    return schemes


def _reading(base: Any) -> Any:
    """obstore's file system, which takes `block_size` for a setting of the store and refuses it."""

    def begin(self: Any, *arguments: Any, block_size: int | None = None, **options: Any) -> None:  # noqa: ARG001
        base.__init__(self, *arguments, **options)

    return type(base.__name__, (base,), {"__init__": begin})
