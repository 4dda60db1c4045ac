"""Works that do harm on purpose, for tests of what survives it. Workers import them: they can't lie in a test."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from corpora.documents.item import WorkItem
from corpora.errors import TamizError
from corpora.files import write_bytes
from corpora.manifest import record
from pipelines.items import ItemReader
from pipelines.once import ItemResult


@dataclass(frozen=True)
class HostileWork:
    """Copies the texts of an item to <out>/<name>.out. What a text asks for is done first:

    crash    the process ends by SIGSEGV, counted in OUT.ends
             `crash once`, `stop once`, `hang once`: only if OUT.once isn't there
    stop     the process stops (SIGSTOP)
    hang     nothing happens any more
    print    a megabyte goes to stdout
    refuse   raises a TamizError
    slow     takes half a second
    """

    out: str
    fingerprint: str = "f"

    def __call__(self, item: WorkItem) -> ItemResult:
        texts: list[str] = []
        with ItemReader(self.out, item) as reader:
            for batch in reader.batches():
                for text in batch.texts:
                    self._do(str(text))
                    texts.append(str(text))
        path = Path(self.out) / f"{item.name}.out"
        write_bytes(path, "\n".join(texts).encode())
        return reader.result(kept=len(texts), files=[record(Path(self.out), path)])

    def _do(self, text: str) -> None:
        asked, _, times = text.partition(" ")
        if times == "once":
            try:
                Path(f"{self.out}.once").touch(exist_ok=False)
            except FileExistsError:
                return
        if asked == "crash":
            with Path(f"{self.out}.ends").open("ab") as ends:
                ends.write(b".")
            os.kill(os.getpid(), signal.SIGSEGV)
        elif asked == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif asked == "hang":
            time.sleep(3600)
        elif asked == "print":
            sys.stdout.write("x" * (1 << 20))
            sys.stdout.flush()
        elif asked == "slow":
            time.sleep(0.5)
        elif asked == "refuse":
            raise TamizError(f"{asked} was asked for")


if __name__ == "__main__":  # python -m tests.hostile_work OUT PATTERN [RUNNER [STALL_MINUTES [SHARE [FLAG...]]]]
    from corpora.documents.items import work_items
    from corpora.manifest import MadeFrom
    from corpora.stopping import interruptible, left_behind
    from pipelines.accounts import input_identities
    from pipelines.settings import RunnerSettings
    from pipelines.stage import Pass, run_stage

    out, pattern, runner, stall, share, *flags = sys.argv[1:]
    parted = (int(share.partition("/")[0]), int(share.partition("/")[2])) if share else None
    items = work_items([pattern])
    made_from = MadeFrom(stage="hostile", algorithm=1, settings={}, inputs=input_identities(items, Path(out)))
    settings = RunnerSettings(runner=runner, stall_minutes=float(stall), share=parted, beam_flags=tuple(flags))
    code = 0
    try:
        with interruptible():
            done = run_stage(Path(out), made_from, [Pass(HostileWork(out), items)], settings)
        print([each["damage"] for each in done.manifest.damaged])
    except KeyboardInterrupt:
        code = 130
    except TamizError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
        print(type(error).__name__)
    sys.stdout.flush()
    if left_behind():
        os._exit(code)
    sys.exit(code)
