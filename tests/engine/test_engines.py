"""Flink, Spark and Prism: the whole chain gives the bytes of the FnApiRunner. Needs shared/engines and Java."""

from __future__ import annotations

import pytest

from tests.command import exit_code
from tests.conftest import digests
from tests.engines import chain
from tests.engines.installed import engines
from tests.engines.runners import ENGINES

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def inputs(es_shards, tmp_path_factory) -> list[str]:
    """80 real documents in two files."""
    return chain.small_inputs(es_shards[1], tmp_path_factory.mktemp("es"), files=2)


def run(command: list[str]) -> None:
    assert exit_code(*command) == 0


@pytest.fixture(scope="module")
def in_process(inputs, tmp_path_factory) -> dict[str, str]:
    """The digests of the chain on one thread."""
    out = tmp_path_factory.mktemp("in-process")
    chain.do(inputs, str(out), (), run)
    return digests(out)


@pytest.mark.parametrize("name", ENGINES)
def test_the_chain_has_the_same_bytes_on_an_engine(name, inputs, in_process, tmp_path):
    """The whole chain on Prism, its first two stages on Java's engines: there, each pass is a job of ten seconds."""
    engines()
    out, most = tmp_path / "out", 5 if name == "Prism" else 2
    with ENGINES[name](tmp_path) as flags:
        chain.do(inputs, str(out), flags, run, most)
    done = [folder.name for folder in out.iterdir()]
    assert len(done) == most
    assert digests(out) == {file: sha256 for file, sha256 in in_process.items() if file.split("/")[0] in done}
