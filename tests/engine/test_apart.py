"""Workers that share no folder with the driver: each has a disk of its own, the output is in a store."""

from __future__ import annotations

import hashlib
import sys

import pytest

from corpora.home import Home
from tests.command import exit_code
from tests.conftest import digests, is_data
from tests.engines import alone
from tests.engines.pool import worker_pool
from tests.engines.processes import running
from tests.loopback_store import loopback_store

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_scores_are_the_same(demo, lm, tmp_path):
    if reason := alone.missing():
        pytest.skip(reason)
    apart, log = tmp_path / "apart", tmp_path / "driver.log"
    apart.mkdir()
    with loopback_store() as store:
        for ending in (".bin", ".json", ".spiece.model"):
            Home.of(store.address("lm")).write_bytes(f"es{ending}", lm.with_suffix(ending).read_bytes())
        Home.of(store.address("in")).write_bytes("a.jsonl", (demo / "documents.jsonl").read_bytes())
        score = ["score", "--input", store.address("in/*.jsonl"), "--lm"]
        assert exit_code(*score, lm, "--out", tmp_path / "here") == 0
        far = [*score, store.address("lm/es.bin"), "--out", store.address("scores")]
        own = alone.own_folders(apart)
        with worker_pool(tmp_path / "pool.log", alone.apart(apart), **own) as pool:
            flags = ["--runner=PortableRunner", "--job_endpoint=embed", *pool.flags]
            line = [*alone.apart(apart), sys.executable, "-m", "tamiz", *far, *flags]
            with running(line, log, variables=own) as driver:
                assert driver.wait(300) == 0, log.read_text()
        home = Home.of(store.address("scores"))
        found = {name: hashlib.sha256(home.read_bytes(name)).hexdigest() for name in home.entries() if is_data(name)}
    assert found == digests(tmp_path / "here")
    assert [path.name for path in apart.iterdir()] == []  # nobody wrote on the disk that all see
