"""Calls to the Hub: each has a time-out, is tried again after a fault that passes, and ends in plain words.

huggingface_hub sets no time-out, or None in a call of its own, and tries only some calls again. What it raises names
addresses that may be signed, so none of it goes further than here.

hf_xet sends contents with a client of its own, whose bounds are its settings: no answer for 300 s
(HF_XET_CLIENT_READ_TIMEOUT), six tries. Measured with a time-out of 2 s and a server that answers nothing: an error
after 12.4 s. So no process has to watch over it.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from corpora.errors import TamizError, in_a_line
from corpora.hub.pacing import asked
from corpora.hub.tries import PASSING
from tamiz.log import without_secret

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
NO_ROUTE_TRIES = 3
CHANGED = 412  # someone else's commit came first


@dataclass
class Patience:
    """How long faults are borne. seconds: from the first one, without a success. told: of each time that begins."""

    seconds: float = 600.0
    first_wait: float = 1.0
    most_wait: float = 60.0
    told: Callable[[str], None] = lambda _: None
    _since: float | None = None
    _tries: int = 0
    _reached: bool = False

    def renew(self) -> None:
        """After a success."""
        self._since, self._tries, self._reached = None, 0, True

    def wait(self, said: str, at_least: float = 0.0, *, no_route: bool = False) -> None:
        """Raises TamizError if that would take too long. no_route: there was no connection, which waiting only mends
        if there was one before."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        self._tries += 1
        if no_route and not self._reached and self._tries >= NO_ROUTE_TRIES:
            raise TamizError(f"can't reach the Hub ({said}): check the network, and HF_ENDPOINT if it is set")
        if self._tries == 1:
            self.told(said)
        wait = min(self.most_wait, self.first_wait * 2 ** min(self._tries - 1, 10))
        pause = max(at_least, wait * random.uniform(0.5, 1))
        if now - self._since + pause > self.seconds:
            asked = f", and asks to wait {at_least:.0f} s" if at_least else ""
            raise TamizError(
                f"the Hub didn't do it in {self._tries} tries and {now - self._since:.0f} s ({said}{asked}): nothing "
                "is published yet; run the same command again, and only what is missing is sent"
            )
        time.sleep(pause)


@dataclass(frozen=True)
class Fault:
    """A fault that may pass. wait: seconds that the Hub asked for."""

    said: str
    wait: float = 0.0
    changed: bool = False
    no_route: bool = False


def set_time_outs(seconds: float, hear: Callable[[httpx2.Request], None] | None = None) -> None:
    """For all calls of huggingface_hub in this process. seconds: without a byte; an answer has twice as many in all.

    hear: told of each request.
    """
    import httpx2
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import hf_request_event_hook

    bounds = httpx2.Timeout(seconds, connect=min(seconds, 30.0))

    def bound(request: httpx2.Request) -> None:
        request.extensions["timeout"] = bounds.as_dict()  # some calls name None, which means for ever

    class Ending(httpx2.SyncByteStream):
        """An answer that must have ended in time, however its bytes trickle."""

        def __init__(self, stream: Any) -> None:
            self._stream, self._end = stream, time.monotonic() + 2 * seconds

        def __iter__(self) -> Iterator[bytes]:
            for block in self._stream:
                if time.monotonic() > self._end:
                    raise httpx2.ReadTimeout(f"the answer had no end after {2 * seconds:g} s")
                yield block

        def close(self) -> None:
            self._stream.close()

    def end(response: httpx2.Response) -> None:
        response.stream = Ending(response.stream)

    hooks: dict[str, list[Callable[..., Any]]] = {
        "request": [hf_request_event_hook, bound, *([hear] if hear else [])],
        "response": [end],
    }
    set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=bounds))


def trying(patience: Patience, call: Callable[[], T], repo: str) -> T:
    """The call's result. Faults that pass are waited for; others are raised as TamizError."""
    while True:
        try:
            result = call()
        except Exception as error:
            found = fault(error, repo)
        else:
            patience.renew()
            return result
        patience.wait(found.said, found.wait, no_route=found.no_route)


def fault(error: Exception, repo: str) -> Fault:
    """What may pass. Raises TamizError for all else, with the remedy."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    origin = _origin(error)
    if isinstance(origin, TamizError):
        raise origin
    if isinstance(origin, HfHubHTTPError):
        status = origin.response.status_code
        if status == CHANGED:
            return Fault("someone else's commit came first", changed=True)
        if status in PASSING:
            wait = asked(origin.response.headers)  # in whole seconds, so that the next one may still be too early
            return Fault(f"status {status}", 0.0 if wait is None else wait + 1.0)
        raise refusal(origin, repo) from None
    if isinstance(origin, httpx2.TransportError):
        no_route = isinstance(origin, httpx2.ConnectError | httpx2.ConnectTimeout)
        return Fault(f"{type(origin).__name__}: {_plain(origin)}", no_route=no_route)
    if isinstance(origin, json.JSONDecodeError):
        return Fault("an answer that isn't JSON")
    if isinstance(origin, KeyError) or type(origin).__name__ == "HfUriError":
        return Fault(f"an answer without what it must have: {_plain(origin)}")
    if isinstance(origin, ConnectionError | TimeoutError) or type(origin).__name__.startswith("Xet"):
        return Fault(_plain(origin))
    raise _final(origin, repo) from None


def _final(error: BaseException, repo: str) -> TamizError:
    from huggingface_hub.errors import LocalTokenNotFoundError

    if isinstance(error, LocalTokenNotFoundError):
        return no_token()
    if isinstance(error, OSError) and error.filename:
        return TamizError(f"{error.filename}: {error.strerror}")
    return TamizError(f"{repo}: {_plain(error)}")


def no_token() -> TamizError:
    return TamizError(
        "you aren't logged in to the Hub: run `hf auth login`, or set HF_TOKEN to a token that may write"
    )


def refusal(error: Any, repo: str) -> TamizError:
    """What a status of the Hub means, with the remedy. error: a HfHubHTTPError."""
    status, said = error.response.status_code, in_a_line(without_secret(error.server_message or ""))
    again = "run `hf auth login` with a token that may write there, or choose another --repo"
    if status == 401:
        return TamizError(f"{repo}: the Hub doesn't accept your token, or doesn't show you the repository: {again}")
    if status in (402, 403):
        return TamizError(f"{repo}: you may not write there ({said or status}): {again}")
    if status == 404:
        return TamizError(f"{repo}: not found ({said or status}); if it is private: {again}")
    return TamizError(f"{repo}: the Hub refused ({status}{': ' if said else ''}{said})")


def _origin(error: BaseException) -> BaseException:
    """huggingface_hub wraps what goes wrong with a content in a RuntimeError."""
    return error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error


def _plain(error: BaseException) -> str:
    """In a line, without queries of addresses, which may be signatures."""
    text = without_secret(in_a_line(error))
    return " ".join(word.partition("?")[0] if "://" in word else word for word in text.split())
