"""The contents of files on their way: sent ahead of the commit, in batches, each once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from tamiz.hub import progress
from tamiz.hub.calls import trying
from tamiz.hub.record import Item
from tamiz.hub.remote import Repository

BATCH, BATCH_BYTES = 256, 1_000_000_000  # files that the Hub takes in one request; bytes between two certain steps


class Contents:
    """done: told (bytes done, bytes in all), from any thread."""

    def __init__(self, repository: Repository, done: Callable[[int, int], None]) -> None:
        self._repository, self._done = repository, done
        self._additions: dict[tuple[str, str], Any] = {}  # by path and sha256
        self._sure = self._passing = self._total = 0  # bytes: of whole batches, of the one at work, in all
        self._lock = threading.Lock()

    def expect(self, total: int) -> None:
        """Bytes in all."""
        self._total = total

    def hear(self, number: int) -> None:
        """Bytes have travelled."""
        with self._lock:
            self._passing += number
            self._done(min(self._sure + self._passing, self._total), self._total)

    def send(self, items: Sequence[Item]) -> None:
        """Sends what the Hub stores outside of git, unless it has the content. What was sent by an earlier call isn't
        sent again."""
        new = [each for each in items if _key(each) not in self._additions]
        for batch in _batches(new):
            additions = [_addition(each) for each in batch]
            with progress.of_xet(self.hear):
                trying(self._repository.patience, partial(self._preupload, additions), self._repository.repo)
            self._additions.update(zip(map(_key, batch), additions, strict=True))
            with self._lock:
                self._sure, self._passing = self._sure + sum(each.bytes for each in batch), 0
                self._done(min(self._sure, self._total), self._total)

    def additions(self, items: Iterable[Item]) -> list[Any]:
        """The operations of a commit, for items that were sent."""
        return [self._additions[_key(each)] for each in items]

    def forget(self, items: Iterable[Item] | None = None) -> None:
        """What the client knows of the repository may be old, and what is committed isn't committed again."""
        for key in [*self._additions] if items is None else map(_key, items):
            self._additions.pop(key, None)

    def _preupload(self, additions: list[Any]) -> None:
        with self._lock:
            self._passing = 0
        at, revision = self._repository.at, self._repository.revision
        self._repository.api.preupload_lfs_files(**at, additions=additions, revision=revision, free_memory=False)


def _key(each: Item) -> tuple[str, str]:
    """The record's content depends on what is there, so a path doesn't tell."""
    return each.path, each.sha256


def _addition(each: Item) -> Any:
    from huggingface_hub import CommitOperationAdd

    return CommitOperationAdd(path_in_repo=each.path, path_or_fileobj=each.source)


def _batches(items: Sequence[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for each in items:
        if batch and (len(batch) == BATCH or sum(b.bytes for b in batch) + each.bytes > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch
