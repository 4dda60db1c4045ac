"""A disk without room for a file is told in the same words by whatever writes: the bytes needed, and the room."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import re
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from corpora import files
from corpora.documents.joined import join_documents
from corpora.documents.writing import DocumentWriter
from corpora.errors import TamizError
from corpora.perplexity.estimation import spool
from corpora.perplexity.estimation.scratch import Scratch
from corpora.perplexity.lm_tokenizer import Spool
from corpora.tokens.shards import SCALAR, ShardWriter
from tests.invented import sentences
from tests.unit.test_estimation import LARGE, SMALL, trained

NEED = r"needs (more than )?[1-9][\d,]* bytes, "
NO_FILE = re.compile(rf"can't write .+: File too large: {NEED}more than a file may have here \(.*\)(; free some .*)?")
NO_DISK = re.compile(rf"can't write .+: No space left on device: {NEED}[\d,]+ free in \S+(; free some space, or .*)?")
TEXTS = [" ".join(map(str, words)) for words in sentences(2000, words=2000)]
NOISE = np.random.default_rng(0).integers(0, 2**16, 100_000).astype(np.uint16)


def spooled(folder: Path) -> None:
    ids = spool.IdSpool(folder / "lm.bin", 0)
    for _ in range(5):
        ids.add(np.ones(40_000, np.uint32))


def mapped(folder: Path) -> None:
    Scratch(folder / "lm.bin", 0).array(500_000, np.uint8)


def lines(folder: Path) -> None:
    with Spool(folder / "lm.bin") as file:
        file.fill(["palabra " * 1000] * 100)


def small_model(folder: Path) -> None:
    trained(TEXTS, folder / "lm.bin", SMALL, words=True)


def large_model(folder: Path) -> None:
    trained(TEXTS, folder / "lm.bin", LARGE, words=True)


def documents(folder: Path) -> None:
    with DocumentWriter(folder / "a.parquet", format="parquet") as writer:
        writer.write([NOISE.tobytes().hex()], [None], [None], [1.0], [1.0])


def joined(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as elsewhere:
        part = Path(elsewhere) / "a.jsonl.gz"
        part.write_bytes(gzip.compress(NOISE[:15_000].tobytes().hex().encode()))
        join_documents([part] * 3, folder / "b.jsonl.gz", "jsonl.gz")


def shards(folder: Path) -> None:
    with ShardWriter(folder / "a.parquet", {"n": (SCALAR, np.uint16)}) as writer:
        writer.write({"n": NOISE})


def plain(folder: Path) -> None:
    files.write_bytes(folder / "a.json", bytes(500_000))


WRITERS = [spooled, mapped, lines, small_model, large_model, documents, joined, shards, plain]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Kernels are in their cache, which is another file that a bound would stop."""
    large_model(tmp_path_factory.mktemp("lm"))


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """No file may have more than 50 kB. Not a fixture: pytest's own output may go to a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 52 kB; needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=52k", "tmpfs", folder]).returncode:
        pytest.skip("can't mount a small file system here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("write", WRITERS)
def test_a_file_that_may_not_be_so_large(tmp_path, monkeypatch, write: Callable[[Path], None]):
    monkeypatch.setattr(spool, "BLOCK", 30_000)
    with pytest.raises(TamizError) as error, small_files():
        write(tmp_path)
    assert NO_FILE.fullmatch(str(error.value)), error.value
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("write", WRITERS)
def test_a_disk_without_room(small_disk, monkeypatch, write: Callable[[Path], None]):
    monkeypatch.setattr(spool, "BLOCK", 30_000)
    with pytest.raises(TamizError) as error:
        write(small_disk)
    assert NO_DISK.fullmatch(str(error.value)), error.value
    assert f"53,248 free in {small_disk}" in str(error.value)  # all of it: nothing half-written is left
    assert not [path for path in small_disk.rglob("*") if path.is_file()]


def test_other_reasons_and_advice():
    denied = OSError(errno.EACCES, os.strerror(errno.EACCES))
    assert str(files.cannot_write(Path("a"), denied, 7)) == "can't write a: Permission denied"
    assert str(files.cannot_write(Path("a"), OSError("odd"), advice="b")) == "can't write a: odd; b"
