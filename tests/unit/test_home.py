"""`corpora.home` over each kind of store: files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.errors import BadArgument, DamagedFile, TamizError, Unreachable
from corpora.home import Home, source
from corpora.stores import access, cache, objects, store_of
from tests.loopback_store import LoopbackStore, loopback_store

BIG = bytes(range(256)) * (6 << 12)  # 6 MiB


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackStore]:
    monkeypatch.setenv("TAMIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    store_of.cache_clear()
    with loopback_store() as running:
        yield running
    store_of.cache_clear()


@pytest.fixture(params=["local", "s3", "memory"])
def home(request: pytest.FixtureRequest, tmp_path: Path, store: LoopbackStore) -> Home:
    address = {
        "local": str(tmp_path / "run"),
        "s3": store.address("some/run"),
        "memory": f"memory://{tmp_path.name}/run",
    }
    return Home.of(address[request.param])


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a mebibyte go up in parts."""
    monkeypatch.setattr(objects, "SINGLE", 1 << 20)
    monkeypatch.setattr(objects, "PART", 5 << 20)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is tried twice at most."""
    monkeypatch.setattr(access, "RETRIES", 1)
    access._client.cache_clear()


def test_a_file_written_is_there_with_its_record(home: Home) -> None:
    with home.writing("parts/a.txt") as file:
        file.path.write_bytes(b"hello")
        assert not home.exists("parts/a.txt")
    record = file.record(rows=3)
    assert (record.path, record.bytes, record.rows) == ("parts/a.txt", 5, 3)
    assert home.holds(record)
    assert home.read_bytes("parts/a.txt") == b"hello"
    assert home.size("parts/a.txt") == 5
    assert home.entries() == {"parts/a.txt": 5}
    assert (home / "parts").entries() == {"a.txt": 5}
    home.write_bytes("parts/a.txt", b"other")
    assert not home.holds(record)
    home.remove("parts/a.txt")
    home.remove("parts/a.txt")
    assert home.entries() == {}
    assert home.size("parts/a.txt") is None
    assert not home.holds(record)
    with pytest.raises(FileNotFoundError):
        home.read_bytes("parts/a.txt")


def test_an_exception_in_the_block_leaves_nothing(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        _write_half(home)
    assert home.entries() == {}
    assert not any(path.is_file() for path in (tmp_path / "tmp").rglob("*"))


def _write_half(home: Home) -> None:
    with home.writing("a") as file:
        file.path.write_bytes(b"half")
        _ = 1 / 0


def test_one_of_several_creates(home: Home) -> None:
    assert home.create("claim", b"1")
    assert not home.create("claim", b"2")
    assert home.read_bytes("claim") == b"1"


def test_a_file_is_read_in_ranges_and_fetched(home: Home) -> None:
    home.write_bytes("big", BIG)
    with home.open("big") as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == BIG[-10:]
        file.seek(1000)
        assert file.read(5) == BIG[1000:1005]
        assert file.tell() == 1005
    copy = home.fetched("big")
    assert copy.read_bytes() == BIG
    assert home.fetched("big", home.sha256("big")).read_bytes() == BIG
    if not home.is_local:
        with pytest.raises(FileNotFoundError):
            home.fetched("none")


def test_a_folder_is_published_manifest_last(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made"
    for name in ("manifest.json", "z.txt", "in/manifest.json", "in/z.txt"):
        (made / name).parent.mkdir(exist_ok=True, parents=True)
        (made / name).write_text(name)
    order: list[str] = []
    put = type(home._store).put
    monkeypatch.setattr(type(home._store), "put", lambda s, p, record: [order.append(record.path), put(s, p, record)])
    home.publish(made)
    assert order == ["in/z.txt", "z.txt", "in/manifest.json", "manifest.json"]
    home.publish(made)
    assert len(order) == 4, "what is there isn't sent again"


def test_a_home_is_a_value(tmp_path: Path) -> None:
    home = Home.of("s3://bucket/run/")
    assert home == Home.of("S3://bucket/run") == pickle.loads(pickle.dumps(home))
    assert len({home, Home.of(home)}) == 1
    assert (str(home / "a/b"), home.at("c"), home.name) == ("s3://bucket/run/a/b", "s3://bucket/run/c", "run")
    assert Home.of(f"file://{tmp_path}/x").folder == tmp_path / "x"
    assert not home.is_local
    for name in ("../x", "/x", "a//b", ""):
        with pytest.raises(ValueError, match="no name inside"):
            home / name


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("s3:bucket/run", "two slashes, as in s3://bucket/run"),
        ("s3:/bucket/run", "two slashes, as in s3://bucket/run"),
        ("s3:///run", "names no bucket or folder: write s3://NAME/FOLDER"),
        ("s3://bucket//run", "write s3://bucket/run"),
        ("s3://bucket/a/../run/", "write s3://bucket/a/run"),
        ("gs://bucket/./run", "write gs://bucket/run"),
    ],
)
def test_an_address_that_no_object_has_is_refused(address: str, advice: str):
    with pytest.raises(BadArgument, match=f"{re.escape(advice)}$"):
        Home(address)


def test_names_that_only_look_odd_are_kept():
    for address in ("s3://bucket/a b/ñ%20?x=1#y", "s3://bucket", "sftp://host//from/the/root"):
        assert Home(f"{address}/").address == address


def test_a_folder_may_have_a_colon_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """pyarrow takes the relative path es:run/a.parquet for an address of a file system named es."""
    monkeypatch.chdir(tmp_path)
    home = Home("es:run")
    with home.writing("a.parquet") as file:
        pq.write_table(pa.table({"a": [1]}), file.path)
    assert pq.read_table(source(home.at("a.parquet"))).column("a").to_pylist() == [1]
    assert Path("es:run/a.parquet").is_file()


def test_a_store_that_hands_out_no_keys_refuses(store: LoopbackStore):
    """As where the machine's account has no right: obstore has no kind of its own for that."""
    said = objects.Objects(store.address("run"), "s3")._wording(
        "at", OSError("status code: 403 Forbidden: no"), writes=True
    )
    assert str(said).startswith("at: the store refuses (403 Forbidden): set AWS_ACCESS_KEY_ID")


@pytest.mark.parametrize("place", ["s3:/bucket/run", Path("s3://bucket/run"), "gs:/x", "s3://", "s3:///"])
def test_an_address_that_lost_something_is_refused(place: str | Path) -> None:
    with pytest.raises(BadArgument, match="://"):
        Home.of(place)


def test_a_claim_that_is_removed_between_the_refusal_and_the_look(
    store: LoopbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.of(store.address("run"))
    assert home.create("claim", b"another's")
    with monkeypatch.context() as patched:
        patched.setattr(objects.Objects, "_look", lambda _, name: home.remove(name))
        assert home.create("claim", b"ours")
    assert home.read_bytes("claim") == b"ours"
    monkeypatch.setattr(objects.Objects, "_look", lambda *_: None)
    assert not home.create("claim", b"others come again and again")


def test_a_third_of_the_answers_is_503(store: LoopbackStore) -> None:
    store.faults.refuse = 0.3
    home = Home.of(store.address("run"))
    for number in range(5):
        home.write_bytes(f"{number}", b"small")
    home.write_bytes("big", BIG)
    assert home.read_bytes("big") == BIG
    assert len(home.entries()) == 6
    assert home.create("claim", b"")


@pytest.mark.parametrize("only", ["^PUT.*/file", "^POST.*uploadId", "^POST.*uploads", "^PUT.*claim"])
def test_the_answer_to_a_finished_upload_is_lost(store: LoopbackStore, only: str) -> None:
    store.faults.only, store.faults.lose = only, 1
    home = Home.of(store.address("run"))
    home.write_bytes("file", BIG if "POST" in only else b"small")
    assert home.create("claim", b"mine")
    assert not home.create("claim", b"mine")
    assert store.faults.lose == 0
    assert set(home.entries()) == {"file", "claim"}
    assert len(store.uploads()) == (only == "^POST.*uploads"), "of an upload without an id, nobody can say the end"


def test_bodies_that_are_cut_are_read_again(store: LoopbackStore) -> None:
    home = Home.of(store.address("run"))
    home.write_bytes("big", BIG)
    store.faults.cut = 2
    assert home.read_bytes("big") == BIG
    assert store.faults.cut == 0


def test_an_object_that_lacks_a_byte_is_sent_again(store: LoopbackStore) -> None:
    home = Home.of(store.address("run"))
    store.faults.shorten = 1
    home.write_bytes("file", b"small")
    assert home.read_bytes("file") == b"small"
    store.faults.shorten = 2
    with pytest.raises(Unreachable, match="isn't there with its 5 bytes"):
        home.write_bytes("file", b"small")


@pytest.mark.usefixtures("impatient")
def test_a_store_that_refuses_for_good_is_an_error_in_a_line(store: LoopbackStore) -> None:
    home = Home.of(store.address("run"))
    store.faults.only, store.faults.refuse = "partNumber=2", 1.0
    with pytest.raises(
        Unreachable, match=r"s3://tests/run/big: 503 Service Unavailable, SlowDown \(.*run the same"
    ) as raised:
        home.write_bytes("big", BIG)
    assert "\n" not in str(raised.value)
    assert home.entries() == {}
    assert store.uploads() == [], "its parts are removed"
    with pytest.raises(TamizError, match="no bucket nobody: make it first"):
        Home.of("s3://nobody/x").write_bytes("a", b"")
    with pytest.raises(TamizError, match="no bucket nobody: make it first"):
        Home.of("s3://nobody/x").entries()


def test_a_copy_is_fetched_once_checked_and_makes_room(
    store: LoopbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.of(store.address("run"))
    home.write_bytes("a", b"first"), home.write_bytes("b", b"second")
    copy = home.fetched("a")
    assert copy == home.fetched("a", home.sha256("a"))
    assert copy.parent == tmp_path / "cache"
    copy.write_bytes(b"wrong")
    cache._digest.cache_clear()
    assert home.fetched("a").read_bytes() == b"first", "a damaged copy is fetched again"
    os.utime(copy, (time.time() - 7200,) * 2)
    monkeypatch.setenv("TAMIZ_CACHE_GB", "0.000000008")
    assert home.fetched("b").read_bytes() == b"second"
    assert not copy.exists()
    with pytest.raises(DamagedFile, match="its sha256 is"):
        home.fetched("a", "0" * 64)


def test_a_killed_process_leaves_no_temporary_file(store: LoopbackStore, tmp_path: Path) -> None:
    code = (
        "import os, sys; from corpora.home import Home\n"
        f"with Home.of({store.address('run')!r}).writing('a') as file:\n"
        "    file.path.write_bytes(b'x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    left = [path for path in (tmp_path / "tmp").rglob("*") if path.is_file()]
    assert len(left) == 1
    os.utime(left[0], (time.time() - 5,) * 2)
    subprocess.run([sys.executable, "-c", code.replace("os.kill(os.getpid(), 9)", "")], check=True)
    assert not left[0].exists()
    assert list(store.objects()) == ["run/a"]


def test_a_full_disk_says_where(store: LoopbackStore) -> None:
    said = r"can't write s3://tests/run/a: No space left.*free in.*TMPDIR"
    with pytest.raises(TamizError, match=said), Home.of(store.address("run")).writing("a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert store.objects() == {}


def test_without_obstore_the_line_says_what_to_install(store: LoopbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    access._client.cache_clear()
    with pytest.raises(TamizError, match=r"needs obstore: pip install .*stores"):
        Home.of(store.address("run")).size("a")
