"""Object stores, by obstore: s3://bucket/..., gs://bucket/..., az://container/...

A small file is one PUT; a large one goes up in parts and is removed again if that fails. Each object has its sha256
as metadata, so one HEAD tells whether the right content is there. See `access.py` for keys, patience and bounds.
"""

from __future__ import annotations

import contextlib
import functools
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corpora.addresses import joined
from corpora.errors import StoreFailed, TamizError, Unreachable, in_a_line
from corpora.stores import access
from corpora.stores.base import FileRecord, Known
from corpora.stores.remote import RemoteStore

SINGLE = 32 << 20  # bytes up to which a file is one PUT, held in memory meanwhile
PART = 8 << 20  # bytes of a part of a larger one; more where it would be more than MOST_PARTS
AT_ONCE = 4  # parts under way
MOST_PARTS = 9_000  # S3 takes 10,000
_STATUS = re.compile(r"status code: (\d+[A-Za-z ]*)")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_NOISE = re.compile(r", max_retries: \d+, retry_timeout: \w+|^Generic \w+ error: ")
_CREATIONS = 5
SHA256, TOKEN = "sha256", "tamiz-token"


class Objects(RemoteStore):
    """A prefix of a bucket."""

    def __init__(self, address: str, kind: str) -> None:
        super().__init__(address)
        self.kind = kind
        self.bucket, _, self.prefix = address.partition("://")[2].partition("/")

    @functools.cached_property
    def _client(self) -> Any:
        return access.client(self.kind, self.bucket, self.address)

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix and name else self.prefix or name

    def send(self, source: Path | bytes, record: FileRecord) -> None:
        import obstore

        large = record.bytes > SINGLE
        with self._said(record.path, writes=True):
            obstore.put(
                self._client,
                self._key(record.path),
                source,
                attributes={SHA256: record.sha256},
                use_multipart=large,
                chunk_size=max(PART, -(-record.bytes // MOST_PARTS)),
                max_concurrency=AT_ONCE,
            )

    def create(self, name: str, data: bytes) -> bool:
        """By If-None-Match. A token in the metadata tells whose file is there if the answer was lost."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        token = uuid.uuid4().hex
        for _ in range(_CREATIONS):
            try:
                with self._said(name, writes=True):
                    obstore.put(
                        self._client, self._key(name), data, attributes={TOKEN: token}, mode="create",
                        use_multipart=False,
                    )  # fmt: skip
                return True
            except (AlreadyExistsError, Unreachable) as error:
                found = self._look(name)
                if found is not None:
                    return bool(found.attributes.get(TOKEN) == token)
                if isinstance(error, Unreachable):
                    raise
        return False  # each time, another's was there, and removed before we looked

    def piece(self, name: str, start: int, length: int) -> bytes:
        import obstore

        with self._said(name):
            return bytes(obstore.get_range(self._client, self._key(name), start=start, length=length))

    def _look(self, name: str) -> Any:
        """The answer to a HEAD; None if there is no such file."""
        import obstore

        try:
            with self._said(name):
                return obstore.get(self._client, self._key(name), options={"head": True})
        except FileNotFoundError:
            return None

    def known(self, name: str) -> Known | None:
        found = self._look(name)
        if found is None:
            return None
        return Known(found.meta["size"], found.attributes.get(SHA256), found.meta.get("e_tag"))

    def entries(self, below: str) -> dict[str, int]:
        import obstore

        found = {}
        cut = len(self.prefix) + 1 if self.prefix else 0
        with self._said(below):
            for page in obstore.list(self._client, prefix=self._key(below) or None):
                for each in page:
                    found[each["path"][cut:]] = each["size"]
        return dict(sorted(found.items()))

    def remove(self, name: str) -> None:
        import obstore

        with contextlib.suppress(FileNotFoundError), self._said(name):
            obstore.delete(self._client, self._key(name))

    def remove_all(self, below: str) -> None:
        import obstore

        names = [self._key(name) for name in self.entries(below)]
        with contextlib.suppress(FileNotFoundError), self._said(below):
            obstore.delete(self._client, names)

    @contextlib.contextmanager
    def _said(self, name: str, *, writes: bool = False) -> Iterator[None]:
        """What obstore raises, in our words."""
        from obstore import exceptions

        at = joined(self.address, name)
        try:
            yield
        except exceptions.AlreadyExistsError:
            raise
        except (exceptions.BaseError, FileNotFoundError) as error:
            raise self._wording(at, error, writes=writes) from error

    def _wording(self, at: str, error: Exception, *, writes: bool) -> Exception:
        from obstore import exceptions

        if "NoSuchBucket" in str(error):
            return TamizError(f"{at}: there is no bucket {self.bucket}: make it first")
        if isinstance(error, (exceptions.NotFoundError, FileNotFoundError)) and not writes:
            return FileNotFoundError(f"{at}: no such file")
        refused = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
        if isinstance(error, refused) or reason(error).startswith(("401", "403")):  # also of who hands out its keys
            return TamizError(f"{at}: the store refuses ({reason(error)}): {access.advice(self.kind)}")
        return StoreFailed(f"{at}: {reason(error)} ({access.BOUND}): run the same command again")


def reason(error: BaseException) -> str:
    """obstore's message without its debug text: the store's answer if there was one."""
    text = str(error).partition("Debug source")[0]
    status, code = _STATUS.search(text), _CODE.search(text)
    if status:
        return status[1].strip() + (f", {code[1]}" if code else "")
    return in_a_line(_NOISE.sub("", text), most=240)
