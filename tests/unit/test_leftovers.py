"""`tamiz clean`, and the requests about unfinished uploads."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import localbucket
import pytest

from corpora import manifest
from corpora.home import Home
from corpora.stores import store_of
from corpora.stores.uploads import Keys, signed
from tests.command import tamiz
from tests.loopback_store import loopback_store


def test_the_signature_is_that_of_amazons_example() -> None:
    """From "Signature Calculations for the Authorization Header" in the S3 API Reference: GET Bucket Lifecycle."""
    keys = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, "us-east-1")
    url = "https://examplebucket.s3.amazonaws.com/?lifecycle="
    headers = signed("GET", url, keys, datetime(2013, 5, 24, tzinfo=UTC))
    assert headers["Authorization"].endswith("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")


def finished(home: Home) -> None:
    made_from = manifest.MadeFrom(stage="x", algorithm=1, settings={}, inputs=[])
    manifest.begin(home, made_from)
    with home.writing("kept") as file:
        file.path.write_bytes(b"kept")
    manifest.finish(home, records=[file.record()])


def test_a_folder_is_cleaned_of_what_its_manifest_does_not_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(Home.of(tmp_path / "done"))
    manifest.begin(tmp_path / "begun", manifest.MadeFrom(stage="y", algorithm=1, settings={}, inputs=[]))
    for name in ("done/orphan", "done/a.tmp-0123456789ab", "begun/part"):
        (tmp_path / name).write_bytes(b"")
    code, said, _ = tamiz(capsys, "clean", tmp_path, "--dry-run")
    assert (code, said.count("would remove")) == (0, 2)
    assert (tmp_path / "done" / "orphan").exists()
    assert tamiz(capsys, "clean", tmp_path)[0] == 0
    left = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert left == [
        "kept",
        "manifest.json",
        "manifest.json",
        "part",
    ]
    assert "nothing to clean" in tamiz(capsys, "clean", tmp_path)[1]


def test_old_uploads_of_a_store_are_aborted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with loopback_store() as store:
        store_of.cache_clear()
        home = Home.of(store.address("run"))
        finished(home)
        home.write_bytes("orphan", b"")
        for key, hours in (("run/old", 30), ("run/new", 1), ("other/old", 30)):
            folder = store.root / localbucket.UPLOADS_DIR / uuid.uuid4().hex
            folder.mkdir(parents=True)
            (folder / localbucket.UPLOAD_META).write_text(f'{{"bucket": "tests", "key": "{key}"}}')
            os.utime(folder / localbucket.UPLOAD_META, (time.time() - 3600 * hours,) * 2)
        store.faults.refuse = 0.5
        code, said, _ = tamiz(capsys, "clean", home, "--dry-run")
        assert (code, said.count("would remove")) == (0, 2)
        assert "s3://tests/run/old (an upload that was begun" in said.replace("\n", " ")
        assert tamiz(capsys, "clean", home)[0] == 0
        assert set(home.entries()) == {"kept", "manifest.json"}
    assert not (tmp_path / "s3:").exists()
