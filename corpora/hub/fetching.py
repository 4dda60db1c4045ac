"""Fetches a file of the Hub whole, until its length and hash are those of the listing.

What a broken connection leaves is kept and continued. A server that ignores the wish for a range, or sends another
one, is never taken at its word: the file is then read from its start. Whatever still goes wrong, the hash tells.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO

from corpora.errors import TamizError, Unreachable
from corpora.files import cannot_write
from corpora.hub import client, tries
from corpora.hub.ranges import is_range
from corpora.hub.remote import RemoteFile
from corpora.hub.tries import Fault, Tries, steady

WRONG = 3  # contents with the right length and the wrong hash, before the file is given up
_PIECE = 1 << 20


def fetch(file: RemoteFile, copy: IO[bytes], place: Path, *, advice: str = "") -> None:
    """Fills `copy`, which may hold the beginning already, and leaves it at its start.

    place, advice: for the message about a full disk.
    """
    body = _Body(file, copy, place, advice)
    tried = Tries(f"read {file.address}", file.url, tries.PATIENCE)
    mark = body.position
    while True:
        try:
            if body.position < file.size:
                _receive(file, body)
            body.check()
            copy.seek(0)
            return
        except Fault as fault:
            if fault.status == 416:
                body.restart()
            if body.position >= mark + tries.PROGRESS:
                tried.progressed()
            mark = max(mark, body.position)
            tried.failed(fault, f"{body.position:,} of {file.size:,} bytes are here")


def let_go(copy: IO[bytes]) -> None:
    """Closes it. What couldn't be written was said, and closing would try, and say, it again."""
    with contextlib.suppress(OSError):
        copy.close()


class _Body:
    """What of a file has arrived, and its hash."""

    def __init__(self, file: RemoteFile, copy: IO[bytes], place: Path, advice: str) -> None:
        self._file, self._copy, self._place, self._advice = file, copy, place, advice
        self._digest, self.position, self._wrong = file.digest(), 0, 0
        copy.seek(0)
        while piece := copy.read(_PIECE):
            self._digest.update(piece)
            self.position += len(piece)
        if self.position > file.size:
            self.restart()

    def add(self, piece: bytes) -> None:
        if self.position + len(piece) > self._file.size:
            self.restart()
            raise Fault(f"more than the {self._file.size:,} bytes that the listing names arrived")
        self._digest.update(piece)
        self.position += len(piece)
        try:
            self._copy.write(piece)
        except OSError as error:
            raise self._no_room(error) from error

    def restart(self) -> None:
        with contextlib.suppress(OSError):  # what couldn't be written doesn't matter any more
            self._copy.flush()
        self._copy.seek(0)
        self._copy.truncate()
        self._digest, self.position = self._file.digest(), 0

    def check(self) -> None:
        """Raises Fault unless everything is here and right; then what is here goes."""
        if self.position < self._file.size:
            raise Fault(f"the answer ended after {self.position:,} of {self._file.size:,} bytes")
        found = self._digest.hexdigest()
        if found == self._file.tag:
            try:
                self._copy.flush()
            except OSError as error:
                raise self._no_room(error) from error
            return
        self.restart()
        self._wrong += 1
        kind = "sha256" if len(found) == 64 else "git hash"
        said = f"its {kind} is {found[:16]}…, but the listing says {self._file.tag[:16]}…"
        if self._wrong >= WRONG:
            raise Unreachable(
                f"can't read {self._file.address} ({self._file.url}): {said}, {self._wrong} times: a proxy or mirror "
                "in between changes it, or the Hub's copy is damaged; nothing of it was used"
            )
        raise Fault(said)

    def _no_room(self, error: OSError) -> TamizError:
        name = f"a copy of {self._file.address}"
        return cannot_write(self._place, error, self._file.size, name=name, advice=self._advice)


def _receive(file: RemoteFile, body: _Body) -> None:
    """One request for what is missing. Raises Fault."""
    headers = {"range": f"bytes={body.position}-"} if body.position else {}
    with client.opened(file.url, "resolvers", file.repository, f"read {file.address}", headers=headers) as response:
        if body.position and not is_range(response, body.position, file.size - 1, file.size):
            body.restart()
            if response.status_code != 200:
                raise Fault(f"the server answers {response.status_code} with another range than the one asked for")
        elif response.status_code != (206 if body.position else 200):
            raise Fault(f"the server answers {response.status_code} to a request for the whole file")
        for piece in steady(response.iter_raw()):
            body.add(piece)
