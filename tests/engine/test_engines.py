"""Flink, Spark and Prism: the whole chain gives the bytes of the FnApiRunner. Needs shared/engines and Java."""

from __future__ import annotations

import pytest

from tests.command import exit_code
from tests.conftest import digests
from tests.engines import chain
from tests.engines.installed import engines
from tests.engines.runners import ENGINES, RUNNERS

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def inputs(es_shards, tmp_path_factory) -> list[str]:
    """160 real documents in four files."""
    return chain.small_inputs(es_shards[1], tmp_path_factory.mktemp("es"))


def run(command: list[str]) -> None:
    assert exit_code(*command) == 0


@pytest.fixture(scope="module")
def in_process(inputs, tmp_path_factory) -> dict[str, str]:
    """The digests of the chain on one thread."""
    out = tmp_path_factory.mktemp("in-process")
    chain.do(inputs, str(out), (), run)
    return digests(out)


@pytest.mark.parametrize(("name", "most"), ENGINES.items())
def test_the_chain_has_the_same_bytes_on_an_engine(name, most, inputs, in_process, tmp_path):
    engines()
    out = tmp_path / "out"
    with RUNNERS[name](tmp_path) as flags:
        chain.do(inputs, str(out), flags, run, most)
    done = [folder.name for folder in out.iterdir()]
    assert len(done) == most
    assert digests(out) == {file: sha256 for file, sha256 in in_process.items() if file.split("/")[0] in done}
