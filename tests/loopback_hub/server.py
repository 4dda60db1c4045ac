"""HTTP/1.1 with threads: reads a request, lets a route answer it, damages the answer where a fault is due."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback_hub.answers import Answer, Asked, Refused
from tests.loopback_hub.faults import BEFORE, Fault, Faults, damaged, refusal
from tests.loopback_hub.limits import Limit, bucket_of
from tests.loopback_hub.routes import Call, route
from tests.loopback_hub.state import State

PIECE = 4096  # bytes, between the pauses of a slow answer at most


@dataclass(frozen=True)
class Request:
    """A request as it was recorded. `status` is None if no answer went out, or it broke off."""

    route: str
    server: str
    method: str
    path: str  # as sent, with the query
    headers: dict[str, str]
    length: int  # bytes of the body
    status: int | None
    fault: str | None


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, hub: Served, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.name, self.hub = name, hub

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away isn't worth a traceback; anything else fails the test that looks at `errors`."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.hub.errors.append(repr(error))
            super().handle_error(request, client_address)


class Served:
    """What both servers share."""

    def __init__(self, state: State) -> None:
        self.state, self.faults = state, Faults()
        self.limits: dict[str, Limit] = {}
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.stopping = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded instead."""

    def _handle(self) -> None:
        hub = self.server.hub
        body = self._body()
        if body is None:  # the client went away while it sent
            self.close_connection = True
            return
        url = urlsplit(self.path)
        asked = Asked(self.server.name, self.command, self.path, url.path, parse_qs(url.query), self.headers, body)
        name, call = route(asked)
        with hub.state.lock:
            answer, name, struck = _answered(hub, asked, name, call)
            sent = struck[0] if struck else None
            status = None if sent in ("lost", "reset", "cut") else answer.status
            facts = (name, asked.server, asked.method, asked.target, dict(self.headers.items()), len(body))
            hub.requests.append(Request(*facts, status, sent))
        self._send(answer, struck)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _handle

    def _body(self) -> bytes | None:
        """None if it ends early."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def _chunks(self) -> bytes | None:
        found = b""
        while True:
            line = self.rfile.readline().split(b";")[0].strip()
            if not line:
                return None
            length = int(line, 16)
            piece = self.rfile.read(length)
            self.rfile.readline()
            if len(piece) < length:
                return None
            if not length:
                return found
            found += piece

    def _send(self, answer: Answer, struck: tuple[str, Fault] | None) -> None:
        kind, fault = struck or ("", None)
        body = b"" if self.command == "HEAD" else answer.body
        if kind == "lost" or (kind in ("reset", "cut") and not (body and self.command == "GET")):
            self._break_off(reset=kind == "reset")
            return
        if fault and kind in ("slow", "stall") and not body:
            self.server.hub.stopping.wait(fault.seconds)
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault and body and kind in ("cut", "reset", "slow", "stall"):
            self._send_badly(body, kind, fault.seconds)
        else:
            self.wfile.write(body)

    def _send_badly(self, body: bytes, kind: str, seconds: float) -> None:
        if kind == "slow":
            self._trickle(body, seconds)
            return
        middle = len(body) // 2
        self.wfile.write(body[:middle])
        if kind == "stall":
            self.server.hub.stopping.wait(seconds)
            self.wfile.write(body[middle:])
        else:
            self._break_off(reset=kind == "reset")

    def _trickle(self, body: bytes, seconds: float) -> None:
        """In pieces, spread over `seconds`."""
        step = max(1, min(PIECE, len(body) // 10))
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        for piece in pieces:
            self.server.hub.stopping.wait(seconds / len(pieces))
            self.wfile.write(piece)

    def _break_off(self, reset: bool) -> None:
        """Ends the connection: with a RST, or as if all were sent."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)


def _answered(hub: Served, asked: Asked, name: str, call: Call) -> tuple[Answer, str, tuple[str, Fault] | None]:
    """The answer, the route's name and the fault it is struck with."""
    bucket = bucket_of(asked.path) if asked.server == "hub" else ""
    limit = hub.limits.get(bucket)
    refused, headers = limit.count(bucket) if limit else (None, {})
    if refused:
        return refused, name, None
    reads = asked.method in ("GET", "HEAD")
    answer = _called(hub, asked, call) if reads else Answer()
    name = answer.kind or name
    struck = hub.faults.draw({name, bucket, "any"} - {""}, asked)
    kind = struck[0] if struck else ""
    if struck and kind in ("status", "rate_limit"):
        answer = refusal(kind, struck[1], bucket or "resolvers")
    elif not reads and kind not in BEFORE:
        answer = _called(hub, asked, call)
    answer.headers |= headers
    return damaged(kind, answer), name, struck


def _called(hub: Served, asked: Asked, call: Call) -> Answer:
    try:
        return call(hub.state, asked)
    except Refused as refused:
        return refused.answer()
    except Exception as error:
        hub.errors.append(f"{asked.method} {asked.target}: {error!r}")
        return Answer.of({"error": repr(error)}, 500)
