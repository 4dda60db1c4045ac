"""Uploads in parts that were never finished: S3 keeps their parts, invisible and billed, until somebody aborts them.

obstore aborts its own when they fail, but a killed process can't, and an upload whose beginning was answered to
nobody has no owner. obstore can't list them, so these requests are signed here (AWS signature version 4).
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from corpora.addresses import scheme_of
from corpora.errors import StoreFailed, TamizError, in_a_line
from corpora.stores import OBJECTS, access

OLD = timedelta(days=1)  # younger ones may be under way
SECONDS = 60
PAUSE = 0.1  # before the second try; doubled each time
_EMPTY = hashlib.sha256(b"").hexdigest()


class Upload(NamedTuple):
    key: str
    id: str
    begun: datetime


class Keys(NamedTuple):
    access: str
    secret: str
    token: str | None
    region: str


def stale_uploads(address: str, older: timedelta = OLD) -> list[Upload]:
    """The unfinished uploads below an address that were begun so long ago. None but S3 has them.

    Raises TamizError without keys, Unreachable.
    """
    if OBJECTS.get(scheme_of(address)) != "s3":
        return []
    bucket, _, prefix = address.partition("://")[2].partition("/")
    before = datetime.now(UTC) - older
    return [upload for upload in _listed(bucket, f"{prefix}/" if prefix else "") if upload.begun < before]


def abort(address: str, upload: Upload) -> None:
    """Removes an upload's parts; nothing happens if it is gone."""
    bucket = address.partition("://")[2].partition("/")[0]
    _request("DELETE", bucket, upload.key, {"uploadId": upload.id})


def _listed(bucket: str, prefix: str) -> Iterator[Upload]:
    query = {"uploads": "", "prefix": prefix}
    while True:
        root = ET.fromstring(_request("GET", bucket, "", query))
        for each in root.findall("{*}Upload"):
            found = {name: each.findtext(f"{{*}}{name}") or "" for name in ("Key", "UploadId", "Initiated")}
            yield Upload(found["Key"], found["UploadId"], datetime.fromisoformat(found["Initiated"]))
        if root.findtext("{*}IsTruncated") != "true":
            return
        query["key-marker"] = root.findtext("{*}NextKeyMarker") or ""
        query["upload-id-marker"] = root.findtext("{*}NextUploadIdMarker") or ""


def _keys() -> Keys:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    if "AWS_ACCESS_KEY_ID" in os.environ:
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "")
        return Keys(os.environ["AWS_ACCESS_KEY_ID"], secret, os.environ.get("AWS_SESSION_TOKEN"), region)
    found = access.session()
    credentials = found.get_credentials() if found else None
    if credentials is None:
        raise TamizError(f"listing unfinished uploads needs keys: {access.advice('s3')}")
    frozen = credentials.get_frozen_credentials()
    return Keys(frozen.access_key, frozen.secret_key, frozen.token, found.get_config_variable("region") or region)


def _request(method: str, bucket: str, key: str, query: Mapping[str, str]) -> bytes:
    keys, endpoint = _keys(), access.endpoint()
    base = f"{endpoint.rstrip('/')}/{bucket}" if endpoint else f"https://{bucket}.s3.{keys.region}.amazonaws.com"
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    url = f"{base}/{quote(key)}?{text}"
    end = time.monotonic() + access.RETRY_SECONDS
    for number in itertools.count():
        try:
            return _answer(method, url, keys)
        except OSError as error:
            code = error.code if isinstance(error, urllib.error.HTTPError) else None
            if method == "DELETE" and code == 404:
                return b""
            passes = code is None or code == 429 or code >= 500
            if not passes or number == access.RETRIES or time.monotonic() > end:
                raise StoreFailed(f"s3://{bucket}: {method} of unfinished uploads: {_said(error)}") from error
        time.sleep(min(PAUSE * 2**number, 10))
    raise AssertionError  # for mypy: the loop returns or raises


def _answer(method: str, url: str, keys: Keys) -> bytes:
    request = urllib.request.Request(url, method=method, headers=signed(method, url, keys, datetime.now(UTC)))
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        content: bytes = answer.read()
    return content


def _said(error: OSError) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return in_a_line(error)


def signed(method: str, url: str, keys: Keys, now: datetime) -> dict[str, str]:
    """The headers of a request without a body."""
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    message = "\n".join((method, parts.path or "/", parts.query, lines, names, _EMPTY))
    scope = f"{stamp[:8]}/{keys.region}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(message.encode()).hexdigest()))
    secret = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    credential = f"Credential={keys.access}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    return {**{name: value for name, value in headers.items() if name != "host"}, "Authorization": authorization}
