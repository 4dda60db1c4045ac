"""Python processes that start in a moment: forked from one that has imported the large libraries already.

For tests of commands that need a process of their own: its folder, its environment, its exit code, its output. Those
of what importing costs or says, of signals and of kills start Python itself. None of tamiz's modules is imported
before the fork, so that the command finds those of its own path. This file is both sides; run, it is the process that
forks. It ends with the tests' process.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

DATA = ("apache_beam", "matplotlib.backends.backend_agg", "numba", "pyarrow.parquet")
TORCH = (
    *DATA,
    "torch._dynamo",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "transformers.models.t5.modeling_t5",
)
# variables that these libraries read when they are imported
_READ_BEFORE = ("GRPC_", "HF_", "MKL_", "MPL", "NUMBA_", "OMP_", "PYTHONHASHSEED", "PYTHONWARNINGS", "TORCH_")
_OWN = ("corpora", "pipelines", "tamiz", "tokenizer_train")

_started: list[_Server] = []


def run(
    arguments: Sequence[object],
    *,
    cwd: Path,
    env: Mapping[str, str] = os.environ,
    text: str | None = None,
    libraries: Sequence[str] = DATA,
    quick_plots: bool = False,
) -> subprocess.CompletedProcess[str]:
    """What follows `python`: -m MODULE ... or -c CODE .... text: its standard input; libraries: imported before;
    quick_plots: nobody looks at its plots."""
    changed = [name for name in env.keys() | os.environ.keys() if env.get(name) != os.environ.get(name)]
    early = sorted(name for name in changed if name.startswith(_READ_BEFORE))
    assert not early, f"libraries have read {early} before the fork: start Python itself"
    if not _started:
        _started.append(_Server())
    told = [str(argument) for argument in arguments]
    try:
        with tempfile.TemporaryDirectory() as folder:
            streams = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
            streams[0].write_text(text or "")
            code = _started[0].run(
                {
                    "arguments": told,
                    "cwd": str(cwd),
                    "env": dict(env),
                    "streams": [str(path) for path in streams],
                    "libraries": list(libraries),
                    "quick_plots": quick_plots,
                }
            )
            return subprocess.CompletedProcess(told, code, *(path.read_text() for path in streams[1:]))
    except BaseException:  # it may still be at work: another one does the next
        _started.pop().end()
        raise


def tamiz(*arguments: object, libraries: Sequence[str] = DATA) -> subprocess.CompletedProcess[str]:
    """A command as typed in the checkout."""
    return run(["-m", "tamiz", *arguments], cwd=Path(__file__).resolve().parents[1], libraries=libraries)


class _Server:
    """The process that forks."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._lines = ours.makefile("rwb")
        ours.close()

    def run(self, request: Mapping[str, object]) -> int:
        """The exit code, negative for a signal."""
        self._lines.write(json.dumps(request).encode() + b"\n")
        self._lines.flush()
        answer = self._lines.readline()
        assert answer, "the process that forks has ended"
        return int(answer)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()


def _serve(connection: int) -> dict[str, object] | None:
    """Returns in each forked process, with what it is to do; and with None at the end."""
    with socket.socket(fileno=connection) as end, end.makefile("rwb") as lines:
        while line := lines.readline():
            request: dict[str, object] = json.loads(line)
            logging.root.addHandler(logging.NullHandler())  # else Beam's first warning makes one, and is shown
            for name in request["libraries"]:  # type: ignore[attr-defined]
                importlib.import_module(name)
            logging.root.handlers.clear()
            assert not sys.modules.keys() & set(_OWN)
            child = os.fork()
            if not child:
                return request
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            lines.write(b"%d\n" % code)
            lines.flush()
    return None


def _become(arguments: list[str], cwd: str, env: dict[str, str], streams: list[str], quick_plots: bool) -> None:
    """As `python ARGUMENTS`, started there."""
    if quick_plots:
        figure = importlib.import_module("matplotlib.figure").Figure
        figure.savefig = runpy.run_path(str(Path(__file__).with_name("plots.py")))["blank"]
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    kind, what, *rest = arguments
    paths = env.get("PYTHONPATH", "")
    sys.path[:0] = [cwd if kind == "-m" else "", *(paths.split(os.pathsep) if paths else ())]
    sys.argv = [kind, *rest]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    if task := _serve(int(sys.argv[1])):
        del task["libraries"]
        _become(**task)  # type: ignore[arg-type]
