"""The processes of one training, as torchrun starts them: which one this is, what they agree on, and who speaks.

Only the first process (rank 0) writes files, lines and messages. An error in any process ends them all, with one
message: the process that fails first tells the others through the store of the process group, which outlives it.
Small numbers and objects travel by gloo, also between processes with GPUs, so that they never wait for a GPU.

Imports torch only to join other processes, so that commands can ask at once whether there are others.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from corpora.errors import BadArgument, TamizError, in_a_line
from tamiz.trainer.grace import Grace

T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)  # of a wait for the others: they may be writing a large checkpoint to a slow disk
TOLD_SECONDS = 1.0  # an error is told before the process that has it ends, which the others notice
SAID_SECONDS = 4.0  # in which the first process says an error
_CAUSE, _SAID = "tamiz/cause", "tamiz/said"
_LOST = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "socket")


@dataclass(frozen=True)
class Place:
    """The place of this process among the others. local_*: on its machine."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @classmethod
    def here(cls) -> Place:
        """From the variables that torchrun sets. Raises BadArgument if they aren't whole."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        texts = [os.environ.get(name, "") for name in names]
        if texts[1] in ("", "1"):
            return cls()
        if not all(text.isdigit() for text in texts) or not os.environ.get("MASTER_ADDR"):
            found = ", ".join(f"{name}={text!r}" for name, text in zip(names, texts, strict=True))
            raise BadArgument(f"the environment has {found}: start several processes with torchrun, which sets all")
        return cls(*(int(text) for text in texts))

    @property
    def first(self) -> bool:
        return self.rank == 0


class LostProcess(TamizError):
    """Another process of the training has ended."""

    def __init__(self) -> None:
        super().__init__(
            "another process of this training has ended (killed, or out of memory); torchrun's lines say which one. "
            "The same command continues from the last checkpoint"
        )


class _Told(TamizError):
    """The error of another process."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


class SaidElsewhere(SystemExit):
    """Ends a process without a word: another one says the error."""

    def __init__(self, error: Exception) -> None:
        self.error, self.exit_code = error, _words(error)[1]
        super().__init__(self.exit_code)


class Ranks:
    """The processes of a training. Alone, every method gives back what it got, bit for bit.

    Every process must call the methods in the same order; what they return is the same everywhere. They raise
    LostProcess if another process has ended.
    """

    def __init__(self, place: Place | None = None, store: Any = None) -> None:
        self.place, self._store = place or Place(), store
        self.rank, self.world_size, self.first = self.place.rank, self.place.world_size, self.place.first
        self.catches_signals = False  # as within a step, which is finished and saved first
        self._asking = threading.Lock()
        self._speaks: bool | None = None

    @property
    def alone(self) -> bool:
        return self.world_size == 1

    def sum(self, number: float) -> float:
        """The sum over all processes, in float64: counts stay exact."""
        if self.alone:
            return number
        return float(self._reduced([number], "float64", "SUM")[0])

    def most(self, *numbers: int) -> tuple[int, ...]:
        """The largest of each number over all processes."""
        if self.alone:
            return numbers
        return tuple(int(n) for n in self._reduced(list(numbers), "int64", "MAX"))

    def told(self, value: T | None) -> T:
        """The value of the first process, which can be pickled; the others' is ignored."""
        if self.alone:
            assert value is not None
            return value
        import torch
        from torch import distributed

        box = [value]
        with _lost_is_said():
            distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        assert box[0] is not None
        return box[0]

    def whole_rows(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch of which each process has every world_size-th row, as CPU tensors with the same widths."""
        if self.alone:
            return batch
        import torch
        from torch import distributed

        parts: list[Any] = [None] * self.world_size
        with _lost_is_said():
            distributed.all_gather_object(parts, batch)
        return {name: torch.stack([part[name] for part in parts], dim=1).flatten(0, 1) for name in batch}

    def together(self, work: Callable[[], T]) -> T:
        """The result of `work`, which must not wait for other processes. If it raises TamizError or OSError in one of
        them, all raise an error with the message and exit code of the lowest such rank."""
        if self.alone:
            return work()
        error: Exception | None = None
        result: Any = None
        try:
            result = work()
        except (TamizError, OSError) as raised:
            error = raised
        (failed,) = self.most(self.world_size - self.rank if error else 0)
        if not failed:
            return result
        lowest = self.world_size - failed
        message, code = self._told_by(lowest, error)
        raise error if error and self.rank == lowest else _Told(message, code)

    def _told_by(self, rank: int, error: Exception | None) -> tuple[str, int]:
        import torch
        from torch import distributed

        box = [_words(error) if error else None]
        with _lost_is_said():
            distributed.broadcast_object_list(box, src=rank, device=torch.device("cpu"))
        assert box[0] is not None
        return box[0]

    def _reduced(self, numbers: list[Any], dtype: str, operation: str) -> list[Any]:
        import torch
        from torch import distributed

        tensor = torch.tensor(numbers, dtype=getattr(torch, dtype))
        with _lost_is_said():
            distributed.all_reduce(tensor, getattr(distributed.ReduceOp, operation))
        found: list[Any] = tensor.tolist()
        return found

    def last_words(self, error: BaseException) -> BaseException:
        """What this process raises after an error, so that one message is said: by the first process, if it can.

        The first error is told to all; where only its consequence is seen, a lost connection, that gives way to it.
        """
        if not isinstance(error, Exception):  # a second ^C, or an exit
            return error if self.first else SystemExit(130)
        if is_lost(error):
            error = self._cause() or (error if isinstance(error, LostProcess) else LostProcess())
        else:
            self._tell(error)
        if not self.speaks():
            return SaidElsewhere(error)
        unmute()
        return error

    def speaks(self) -> bool:
        """Whether this process is to say why the training ends: one of them is, the first one if it can. May wait for
        SAID_SECONDS, and be asked again."""
        with self._asking:
            if self._speaks is None:
                said = not self.first and self._has(_SAID, SAID_SECONDS)
                self._speaks = not said and self._try(lambda: self._store.add(f"{_SAID}/by", 1)) in (1, None)
            if self.first and self._speaks:
                self._try(lambda: self._store.set(_SAID, "0"))
            return self._speaks

    def _tell(self, error: Exception) -> None:
        if self._try(lambda: self._store.add(f"{_CAUSE}/number", 1)) == 1:
            message, code = _words(error)
            self._try(lambda: self._store.set(_CAUSE, f"{code} {message}"))

    def _cause(self) -> TamizError | None:
        """The error that another process has told."""
        if not self._has(_CAUSE, TOLD_SECONDS):
            return None
        text = self._try(lambda: self._store.get(_CAUSE).decode())
        code, _, message = (text or "").partition(" ")
        return _Told(message, int(code)) if text else None

    def _has(self, key: str, patience: float) -> bool:
        """Whether the key is there, or comes within as many seconds."""
        until = time.monotonic() + patience
        while not (found := self._try(lambda: self._store.check([key]))) and time.monotonic() < until:
            time.sleep(0.05)
        return bool(found)

    @staticmethod
    def _try(work: Callable[[], T]) -> T | None:
        """None where the store is gone, or has no answer in time."""
        with contextlib.suppress(RuntimeError, ValueError):
            return work()
        return None


_ALONE = Ranks()
_joined: list[Ranks] = []


def current() -> Ranks:
    """The processes that this one has joined; else it is alone."""
    return _joined[-1] if _joined else _ALONE


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """Within the block, this process and the others that torchrun started train together.

    Raises what the block raises, in one process; the others end without a word, with the same exit code. Alone,
    nothing happens. Raises BadArgument if there are more processes than GPUs, TamizError if the others don't come.
    """
    place = Place.here()
    if place.world_size == 1:
        yield _ALONE
        return
    ranks = _join(place)
    _joined.append(ranks)
    try:
        with Grace(ranks.speaks, lambda: ranks.catches_signals):
            yield ranks
    except BaseException as error:
        raise ranks.last_words(error) from error
    finally:
        _joined.remove(ranks)
    from torch import distributed

    distributed.destroy_process_group()


def _join(place: Place) -> Ranks:
    from tamiz.trainer import require_torch

    require_torch()
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    gpus = torch.cuda.device_count() if torch.cuda.is_available() and distributed.is_nccl_available() else 0
    if place.local_rank < gpus:
        torch.cuda.set_device(place.local_rank)
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=TIMEOUT)))
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise TamizError(
            f"process {place.rank} of {place.world_size} can't reach the others: {in_a_line(error)}; check "
            "torchrun's --rdzv-endpoint, and GLOO_SOCKET_IFNAME, the name of the network between the machines"
        ) from error
    return Ranks(place, store)


def check_ranks(batch_size: int, world_size: int) -> None:
    """Raises BadArgument if the processes can't share the rows of a step evenly."""
    if batch_size % world_size:
        below = batch_size - batch_size % world_size
        near = f"{below} or {below + world_size}" if below else f"{world_size}"
        raise BadArgument(
            f"train.batch_size is {batch_size}, which {world_size} processes can't share evenly: set it to {near}, "
            f"or start another number of processes"
        )


def refuse_many(command: str, advice: str) -> None:
    """Raises BadArgument if torchrun started this command in several processes."""
    place = Place.here()
    if place.world_size > 1:
        raise BadArgument(f"`{command}` works in one process, but torchrun has started {place.world_size}: {advice}")


# who speaks


_STREAMS: list[Any] = []


def mute_others() -> bool:
    """In all processes but the first: prints nothing from now on. Whether it did so."""
    if os.environ.get("RANK", "0") == "0" or os.environ.get("WORLD_SIZE", "1") == "1" or _STREAMS:
        return False
    _STREAMS.extend((sys.stdout, sys.stderr))
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (as long as the process)
    return True


def unmute() -> None:
    """This process speaks after all: the first one can't."""
    if _STREAMS:
        sys.stdout, sys.stderr = _STREAMS
        _STREAMS.clear()


def give_way() -> None:
    """Before a process that hasn't joined the others ends with an error: torchrun stops all once one has ended, so
    the first one, which says the error, must be quicker."""
    if _STREAMS:
        time.sleep(SAID_SECONDS)


def _words(error: Exception) -> tuple[str, int]:
    """The message of an error and its exit code, as the command line has them."""
    if isinstance(error, TamizError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}", 1
    return f"{type(error).__name__}: {in_a_line(error)}", 1


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another process is gone, and not what went wrong."""
    if isinstance(error, LostProcess):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in _LOST)


@contextlib.contextmanager
def _lost_is_said() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostProcess from error
