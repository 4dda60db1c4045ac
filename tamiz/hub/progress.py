"""Bytes as they travel: huggingface_hub draws bars of its own, and tells nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

Hear = Callable[[int], None]  # called with bytes since the last call, negative where they must be sent again


def on_request(hear: Hear) -> Callable[[httpx2.Request], None]:
    """A hook that counts the bodies of PUT requests: the contents, on the LFS way."""
    import httpx2

    class Counted(httpx2.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            for block in self._stream:
                yield block
                hear(len(block))

        def close(self) -> None:
            self._stream.close()

    def hook(request: httpx2.Request) -> None:
        if request.method == "PUT":
            request.stream = Counted(request.stream)

    return hook


@contextlib.contextmanager
def of_xet(hear: Hear) -> Iterator[None]:
    """While the block runs, hf_xet's reports go to `hear`. A huggingface_hub without any sends all the same."""
    try:
        utils: Any = import_module("huggingface_hub.utils")
        reporting: Any = import_module("huggingface_hub.utils._xet_progress_reporting")
        before = (utils.are_progress_bars_disabled, reporting.XetUploadProgressReporter)
    except (ImportError, AttributeError):
        yield
        return

    class Reporter:
        sent = 0

        def update_progress(self, group: Any, _items: Any) -> None:
            hear(group.total_bytes_completed - self.sent)
            self.sent = group.total_bytes_completed

        def close(self) -> None: ...

    utils.are_progress_bars_disabled = lambda *_args, **_more: False
    reporting.XetUploadProgressReporter = Reporter
    try:
        yield
    finally:
        utils.are_progress_bars_disabled, reporting.XetUploadProgressReporter = before
