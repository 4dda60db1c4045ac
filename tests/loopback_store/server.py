"""The server: localbucket's handler, with metadata, checksums, a listing of unfinished uploads, and faults."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from email.message import Message
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import localbucket

from corpora import files
from tests.loopback_store.faults import Faults

BUCKET = "tests"
META = "x-amz-meta-"


class _Lost(Exception):
    """The connection ends without an answer."""


class Handler(localbucket.S3Handler):
    """data_root, faults: set by `LoopbackStore`."""

    faults: Faults
    headers: Message

    def log_message(self, format: str, *args: Any) -> None: ...

    @property
    def _line(self) -> str:
        return f"{self.command} {self.path}"

    def _dispatch(self, action: Any) -> None:
        time.sleep(self.faults.seconds) if self.faults.meets(self._line) else None
        if self.faults.refuses(self._line):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._send_error(localbucket.S3Error(HTTPStatus.SERVICE_UNAVAILABLE, "SlowDown", "Reduce your rate."))
            return
        try:
            super()._dispatch(action)
        except (_Lost, BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send_headers(self, status: HTTPStatus, length: int, headers: dict[str, str] | None = None) -> None:
        if status < 300 and self.faults.takes("lose", self._line):
            raise _Lost
        super()._send_headers(status, length, {**(headers or {}), **self._kept()})

    def _send_file(self, status: Any, file: Any, start: int, length: int, headers: Any, include_body: bool) -> None:
        if include_body and length > 1 and self.faults.takes("cut", self._line):
            self._send_headers(status, length, headers)
            file.seek(start)
            self.wfile.write(file.read(length // 2))
            raise _Lost
        super()._send_file(status, file, start, length, headers, include_body)

    def _meta_path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.data_root / ".metadata" / name

    def _key(self) -> str:
        return urlsplit(self.path).path.lstrip("/")

    def _kept(self) -> dict[str, str]:
        """The metadata of the object that is asked for."""
        if self.command not in ("GET", "HEAD"):
            return {}
        try:
            return dict(json.loads(self._meta_path(self._key()).read_text()))
        except FileNotFoundError:
            return {}

    def _own(self) -> str:
        found = {k.lower(): v for k, v in self.headers.items() if k.lower().startswith(META)}
        return json.dumps(found)

    def _read_body(self) -> bytes:
        body: bytes = super()._read_body()
        said = self.headers.get("x-amz-checksum-sha256")
        if said and base64.b64decode(said) != hashlib.sha256(body).digest():
            raise localbucket.S3Error(HTTPStatus.BAD_REQUEST, "BadDigest", "The checksum doesn't match.")
        if self.command == "PUT" and body and self.faults.takes("shorten", self._line):
            return body[:-1]
        return body

    def _create_multipart_upload(self, bucket: str, key: str) -> None:
        before = set(self._uploads())
        super()._create_multipart_upload(bucket, key)
        for each in set(self._uploads()) - before:
            (self.data_root / localbucket.UPLOADS_DIR / each / "metadata").write_text(self._own())

    def _uploads(self) -> list[str]:
        folder = self.data_root / localbucket.UPLOADS_DIR
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def _complete_multipart_upload(self, bucket: str, key: str, body: bytes) -> None:
        self._meta_path(self._key()).write_text((self._upload_dir(bucket, key) / "metadata").read_text())
        super()._complete_multipart_upload(bucket, key, body)

    def _write_object(self, bucket: str, key: str, write: Any) -> str:
        etag: str = super()._write_object(bucket, key, write)
        if self.command == "PUT":
            files.write_bytes(self._meta_path(self._key()), self._own().encode())
        return etag

    def _get_request(self, bucket: str, key: str) -> None:
        if bucket and not key and "uploads" in self.query:
            self._list_uploads(bucket)
        else:
            super()._get_request(bucket, key)

    def _list_uploads(self, bucket: str) -> None:
        """ListMultipartUploads, in one page; refused without a signature, as S3 does."""
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256"):
            raise localbucket.S3Error(HTTPStatus.FORBIDDEN, "AccessDenied", "Not signed.")
        root = ET.Element("ListMultipartUploadsResult", xmlns=localbucket.S3_NAMESPACE)
        for each in self._uploads():
            folder = self.data_root / localbucket.UPLOADS_DIR / each
            meta = json.loads((folder / localbucket.UPLOAD_META).read_text())
            if meta["bucket"] == bucket and meta["key"].startswith(self.query.get("prefix", "")):
                upload = ET.SubElement(root, "Upload")
                localbucket.sub_element(upload, "Key", meta["key"])
                localbucket.sub_element(upload, "UploadId", each)
                begun = (folder / localbucket.UPLOAD_META).stat().st_mtime
                localbucket.sub_element(upload, "Initiated", localbucket.iso_timestamp(begun))
        localbucket.sub_element(root, "IsTruncated", "false")
        self._send_xml(root)


class LoopbackStore:
    """The running server. Objects lie as files below `root / BUCKET`."""

    def __init__(self, root: Path, port: int = 0, faults: Faults | None = None) -> None:
        self.root, self.faults = root, faults or Faults()
        (root / BUCKET).mkdir(parents=True, exist_ok=True)
        (root / ".metadata").mkdir(exist_ok=True)
        handler = type("Bound", (Handler,), {"data_root": root, "faults": self.faults})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server.server_port}",
            "AWS_ACCESS_KEY_ID": "loopback",
            "AWS_SECRET_ACCESS_KEY": "loopback",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }

    def address(self, key: str) -> str:
        return f"s3://{BUCKET}/{key}"

    def objects(self, below: str = "") -> dict[str, bytes]:
        """The content of every object, by its key."""
        folder = self.root / BUCKET
        found = sorted(p for p in (folder / below).rglob("*") if p.is_file())
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}

    def uploads(self) -> list[str]:
        """Ids of unfinished multipart uploads."""
        folder = self.root / localbucket.UPLOADS_DIR
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


@contextlib.contextmanager
def loopback_store(faults: Faults | None = None) -> Iterator[LoopbackStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = LoopbackStore(Path(folder), faults=faults)
        thread = threading.Thread(target=store.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        before = {name: os.environ.get(name) for name in store.environment}
        os.environ.update(store.environment)
        try:
            yield store
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
            store.server.shutdown()
            store.server.server_close()
