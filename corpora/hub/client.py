"""One request to the Hub: paced, with time-outs, its failures sorted into those that may pass and those that won't.

The HTTP client is huggingface_hub's, so its proxies, certificates and `set_client_factory` hold here, too. The token
comes from huggingface_hub's usual places, for each request anew, and goes only to the Hub's own host: no address,
message, log or work item has it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from corpora.errors import TamizError, Unreachable, in_a_line
from corpora.hub import tries
from corpora.hub.address import Repository
from corpora.hub.pacing import Pace, Resource, asked_wait
from corpora.hub.refusals import refusal
from corpora.hub.tries import Fault, Tries
from corpora.stopping import go_on

_MAY_PASS = (*tries.PASSING, 416)  # 416: after a broken resume
MOST_BYTES, MOST_SECONDS = 64 << 20, 120  # of an answer other than a file's content; a page of a listing has 300 kB
_AGENT = "tamiz"
# by name: the client is that of httpx or httpx2, depending on huggingface_hub's version
_OF_NETWORK = {"TransportError", "TooManyRedirects", "DecodingError"}

pace = Pace()


class _Seen:
    """Whether this process ever got an answer from the Hub: until then, a failing connection means no network."""

    answer = False


def endpoint() -> str:
    """The Hub's address, without a slash at the end: HF_ENDPOINT, as huggingface_hub read it."""
    from huggingface_hub import constants

    return constants.ENDPOINT.rstrip("/")


def json_of(
    path_or_url: str, repository: Repository, what: str, *, body: Mapping[str, object] | None = None
) -> tuple[Any, str | None]:
    """(the answer, the address of its next page if there is one). body: of a POST.

    Raises Unreachable if the Hub can't be reached or keeps failing, what `refusal` gives if it refuses.
    """
    url = path_or_url if "://" in path_or_url else f"{endpoint()}/{path_or_url}"
    patience = tries.PATIENCE
    tried = Tries(what, shown(url), patience, hopeless_without_route=not _Seen.answer)
    while True:
        try:
            with opened(url, "api", repository, what, body=body) as response:
                return _decoded(response), _next(response)
        except Fault as fault:
            tried.failed(fault)


def _decoded(response: Any) -> Any:
    begun, body = time.monotonic(), bytearray()
    for piece in response.iter_bytes():
        go_on()
        body += piece
        if len(body) > MOST_BYTES:
            raise Fault(f"the answer has more than {MOST_BYTES:,} bytes")
        if time.monotonic() - begun > MOST_SECONDS:
            raise Fault(f"after {MOST_SECONDS} s the answer had {len(body):,} bytes and no end")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Fault("the answer isn't JSON", status=response.status_code) from error


def _next(response: Any) -> str | None:
    url: str | None = response.links.get("next", {}).get("url")
    try:
        urlsplit(url or "")
    except ValueError as error:
        raise Fault("the answer's next page has no address") from error
    return url


@contextlib.contextmanager
def opened(
    url: str,
    resource: Resource,
    repository: Repository,
    what: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
) -> Iterator[Any]:
    """The answer to one request, whose body isn't read yet.

    Raises Fault for what may pass, also if reading the body fails in the block; otherwise what `refusal` gives.
    """
    from huggingface_hub import get_session
    from huggingface_hub.errors import OfflineModeIsEnabled

    token = _token(url)
    pace.wait(resource, with_token=token is not None)
    sent = {"user-agent": _AGENT, "accept-encoding": "identity", **(headers or {})}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    patience = tries.PATIENCE
    waits = (patience.connect, patience.read, patience.read, patience.read)
    method = "GET" if body is None else "POST"
    try:
        with get_session().stream(
            method, url, headers=sent, json=body, timeout=waits, follow_redirects=True
        ) as response:
            _Seen.answer = True
            _check(response, resource, repository, what, with_token=token is not None)
            yield response
    except OfflineModeIsEnabled:
        raise Unreachable(f"can't {what}: HF_HUB_OFFLINE is set: unset it, or name local files") from None
    except Exception as error:
        if _names(error) & {"UnsupportedProtocol", "InvalidURL"}:
            said = f"{in_a_line(error, lines=1, most=120)}: is HF_ENDPOINT ({endpoint()}) right?"
            raise Unreachable(f"can't {what} ({shown(url)}): {said}") from None
        if not _names(error) & _OF_NETWORK:
            raise
        raise Fault(_reason(error), no_route=type(error).__name__ in ("ConnectError", "ConnectTimeout")) from None


def _check(response: Any, resource: Resource, repository: Repository, what: str, *, with_token: bool) -> None:
    pace.told(resource, response.headers)
    status = response.status_code
    if status < 400:
        return
    if status in _MAY_PASS or status >= 500:
        wait = asked_wait(response.headers) if status in (429, 503) else None
        raise Fault(f"the server answers {status}", status=status, wait=wait)
    raise refusal(status, response.headers, repository, what, with_token=with_token)


def _token(url: str) -> str | None:
    """None for any other host than the Hub's; an answer's redirect to one loses it, as httpx does it."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN or urlsplit(url)[:2] != urlsplit(endpoint())[:2]:
        return None
    return sendable(get_token())


def sendable(token: str | None) -> str | None:
    """The token. Raises TamizError for one that no header can hold: the client's own error would show it."""
    if token is not None and not (token.isascii() and token.isprintable()):
        raise TamizError(
            "the Hub's token has characters that no token has: set HF_TOKEN, or log in with `hf auth login`, again"
        )
    return token


def has_token() -> bool:
    return _token(endpoint()) is not None


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _reason(error: BaseException) -> str:
    match type(error).__name__:
        case "ReadTimeout":
            return f"nothing arrived for {tries.PATIENCE.read:g} s"
        case "ConnectTimeout":
            return f"no connection within {tries.PATIENCE.connect:g} s"
        case name:
            return in_a_line(error, lines=1, most=120) or name


def shown(url: str) -> str:
    """An address for messages: without its query, which may hold a signature."""
    return url.partition("?")[0]


def log_counts() -> None:
    """How many requests this process has sent, for `--debug`."""
    if any(pace.counts.values()):
        logging.getLogger(__name__).debug("requests to the Hub: %s", pace.counts)
