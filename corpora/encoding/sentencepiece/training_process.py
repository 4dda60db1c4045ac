"""The process in which SentencePiece trains: a script of its own, without tamiz, that may be killed at any time.

standard input    JSON of the options, then the lines, as frames: 4 bytes of length, then UTF-8. END closes the lines.
standard output   MODEL and the model, or ERROR and SentencePiece's message

It ends at ^C, and when the process that started it is gone.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, Any

LENGTH = struct.Struct("<I")
END = LENGTH.pack(0xFFFFFFFF)
MODEL, ERROR = b"M", b"E"
_SECONDS_BETWEEN_LOOKS = 0.5


def main(parent: int) -> None:
    """parent: the id of the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would wait for the end of the training
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(_trained(json.loads(_frame(source) or b"{}"), source))
    sink.flush()


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent. SentencePiece trains without the GIL, so this thread runs then."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def _trained(options: dict[str, Any], source: IO[bytes]) -> bytes:
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=_lines(source), model_writer=model, **options)
    except (RuntimeError, ValueError) as error:
        return ERROR + str(error).encode()
    return MODEL + model.getvalue()


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    while (line := _frame(source)) is not None:
        yield line


def _frame(source: IO[bytes]) -> bytes | None:
    """The next frame; None at END. Ends the process if the input stops before END: its writer was killed."""
    head = source.read(LENGTH.size)
    if head == END:
        return None
    if len(head) < LENGTH.size:
        os._exit(1)
    (length,) = LENGTH.unpack(head)
    return source.read(length)


if __name__ == "__main__":
    main(int(sys.argv[1]))
