"""Started by torchrun in each of two processes: the second is killed; the first takes long to clear up.

Argument: `loses`, where the first one waits for the second; `goes on`, where it doesn't.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from corpora.errors import TamizError
from tamiz.console import fail
from tamiz.trainer import grace
from tamiz.trainer.ranks import current, joined

SLOW = 2.0  # seconds: torchrun looks ten times a second

if __name__ == "__main__":
    grace.SECONDS = SLOW if sys.argv[1] == "goes on" else grace.SECONDS
    try:
        with joined():
            current().sum(1)
            if not current().first:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                if sys.argv[1] == "loses":
                    current().sum(1)
            finally:
                time.sleep(SLOW)
            time.sleep(60)  # "goes on"
    except TamizError as error:
        fail(str(error))
        sys.exit(error.exit_code)
