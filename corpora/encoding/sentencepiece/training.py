"""SentencePiece's trainer in a child process: ^C ends it at once, and a crash of it is an error like any other.

What it trained can be kept, by the sha256 of everything that it learned from, for a run that is interrupted later.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from corpora import files
from corpora.encoding.sentencepiece import training_process
from corpora.encoding.sentencepiece.training_process import END, LENGTH, MODEL
from corpora.errors import TamizError

_BLOCK = 1 << 20  # bytes of lines handed over at once
_DIGEST_BYTES = 32
_LONGEST_REASON = 200
PREFIX = "sentencepiece-"  # of the names of kept models


class TrainingRefused(Exception):
    """SentencePiece's own message: what it doesn't like in the options or the text."""


def train_sentencepiece(lines: Iterable[str], options: dict[str, Any], kept: Path | None = None) -> bytes:
    """The model that SentencePiece trains with these options on these lines: in another process, with equal bytes.

    kept: a folder that may hold the model from an earlier call with the same lines and options, and gets it
    otherwise. Raises TrainingRefused, or TamizError if the process ends without an answer.
    """
    learned_from = hashlib.sha256(_version().encode())
    with _Child() as child:
        for block in _framed(lines, options):
            learned_from.update(block)
            child.write(block)
        place = None if kept is None else kept / (PREFIX + learned_from.hexdigest()[:32])
        model = _read_kept(place)
        if model is None:
            child.write(END)
            model = child.answer()
            if place is not None:
                files.write_bytes(place, hashlib.sha256(model).digest() + model)
    return model


def _version() -> str:
    from importlib.metadata import version

    return version("sentencepiece")


def _framed(lines: Iterable[str], options: dict[str, Any]) -> Iterator[bytes]:
    yield _frame(json.dumps(options).encode())
    waiting = bytearray()
    for line in lines:
        waiting += _frame(line.encode())
        if len(waiting) >= _BLOCK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _frame(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


def _read_kept(place: Path | None) -> bytes | None:
    """The kept model, if it is there and whole."""
    if place is None or not place.is_file():
        return None
    data = place.read_bytes()
    digest, model = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return model if hashlib.sha256(model).digest() == digest else None


class _Child:
    """The process of `training_process`, killed when the `with` block is left."""

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile()  # closed in __exit__
        command = [sys.executable, "-P", training_process.__file__, str(os.getpid())]
        paths = os.pathsep.join(path for path in sys.path if path)  # sentencepiece is found where it is found here
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, "PYTHONPATH": paths},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:  # lines that the process never took
                continue

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            self.answer()  # it has ended early, and says why
            raise

    def answer(self) -> bytes:
        """The model. Raises TrainingRefused or TamizError."""
        assert self._process.stdout is not None
        answer = self._process.stdout.read()
        status = self._process.wait()
        if status == 0 and answer[:1] == MODEL:
            return answer[1:]
        if status == 0 and answer:
            raise TrainingRefused(answer[1:].decode(errors="replace"))
        raise TamizError(self._ended(status))

    def _ended(self, status: int) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        reason = f": {last[-_LONGEST_REASON:]}" if last else ""
        fix = "if memory ran out, give it less text, or use a machine with more"
        return f"SentencePiece's training ended with {how}{reason}; {fix}"
