"""An open input file: its bytes, its position, and what goes wrong while it is read."""

from __future__ import annotations

from typing import IO

from corpora.errors import TamizError

PIECE = 1 << 20  # the most bytes yielded at a time


class Damage(Exception):
    """The file is unreadable from here on. The message names the reason and the position."""


class Source:
    """An open file that knows its position and its address. A failing read raises TamizError, never Damage.

    end: where reading stops, as at the end of a file, until it is changed; None: the file's own end.
    """

    def __init__(self, file: IO[bytes], address: str) -> None:
        self._file = file
        self.address = address
        self.position = 0
        self.end: int | None = None

    def seek(self, position: int) -> bool:
        """Whether the file could be moved to `position`; a stream of unknown size can't."""
        try:
            self._file.seek(position)
        except (OSError, ValueError) as error:  # io.UnsupportedOperation is both
            if isinstance(error, OSError) and error.errno is not None:
                raise unreadable(self.address, error) from error
            return False
        self.position = position
        return True

    def read(self, length: int) -> bytes:
        """At most `length` bytes; none at the end."""
        if self.end is not None:
            length = min(length, max(self.end - self.position, 0))
        try:
            data = self._file.read(length)
        except Exception as error:  # every file system raises its own exceptions
            raise unreadable(self.address, error) from error
        self.position += len(data)
        return data


def unreadable(address: str, error: BaseException) -> TamizError:
    """The error for a file that can't be opened or read for reasons outside it: network, disk, permissions."""
    if isinstance(error, TamizError):  # it says so itself
        return error
    detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return TamizError(f"can't read {address}: {detail.splitlines()[0]}")
