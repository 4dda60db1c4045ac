"""`tamiz lm train` again: what is finished, what is stale, and what another run left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora.errors import BadArgument, StaleOutput
from corpora.perplexity.settings import LmSettings
from corpora.verify import verify
from tamiz.stages.common import Context
from tamiz.stages.lm import lm_stage

GOOD = "".join(json.dumps({"text": f"el tamiz número {n} separa\nla harina"}) + "\n" for n in range(40))
WORDS = LmSettings(order=2, words=True)


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_rejected_rows_of_another_run_and_temporary_files_go(tmp_path: Path) -> None:
    first = written(tmp_path / "a.jsonl", GOOD + "no JSON\n")
    second = written(tmp_path / "b.jsonl", GOOD)
    out = tmp_path / "lm" / "es.bin"
    lm_stage([first], out, WORDS, Context(max_rejected=0.5))
    left = out.with_suffix(".rejected") / "rejected" / "x.jsonl.tmp-0123456789ab"
    left.write_text("killed")
    neighbour = out.with_name("es.v2.bin.tmp-0123456789ab")
    neighbour.write_text("at work")
    lm_stage([second], out, WORDS, Context(rebuild=True))
    assert not left.exists()
    assert neighbour.exists()
    neighbour.unlink()
    assert verify(out.parent)[1] == []


@pytest.mark.parametrize("said", [LmSettings(order=2, words=True, prune=(0,)), WORDS])
def test_what_is_said_twice_is_one_setting(tmp_path: Path, said: LmSettings) -> None:
    source, out = written(tmp_path / "a.jsonl", GOOD), tmp_path / "lm.bin"
    lm_stage([source], out, WORDS, Context())
    assert lm_stage([source], out, said, Context()).state == "finished"
    with pytest.raises(StaleOutput, match="prune"):
        lm_stage([source], out, LmSettings(order=2, words=True, prune=(1,)), Context())


def test_an_arpa_file_of_another_model_is_written_again(tmp_path: Path) -> None:
    source, out, arpa = written(tmp_path / "a.jsonl", GOOD), tmp_path / "lm.bin", tmp_path / "lm.arpa"
    with_arpa = LmSettings(order=2, words=True, arpa=str(arpa))
    lm_stage([source], out, with_arpa, Context())
    expected = arpa.read_bytes()
    assert lm_stage([source], out, with_arpa, Context()).state == "finished"
    arpa.write_bytes(b"another model's")
    assert lm_stage([source], out, with_arpa, Context()).state == "new"
    assert arpa.read_bytes() == expected
    with pytest.raises(BadArgument, match="name another"):
        lm_stage([source], out, LmSettings(order=2, words=True, arpa=str(out)), Context())


def test_a_size_without_a_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 64M"):
        LmSettings(memory="4")
