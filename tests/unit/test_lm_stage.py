"""`tamiz lm train` again: what is finished, what is stale, and what another run left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora import lm_json, manifest
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
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


KEYS = {
    "format", "version", "mode", "normaliser", "tokenizer_sha256", "lm_sha256", "settings", "order", "counts",
    "sentences", "blank_lines", "inputs", "made_from", "fingerprint", "documents", "items", "damaged",
    "rejected_files",
}  # fmt: skip


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    source, out = written(tmp_path / "a.jsonl", GOOD + "no JSON\n"), tmp_path / "models" / "es.bin"
    lm_stage([source], out, WORDS, Context(max_rejected=0.5))
    return out


def test_lm_json_is_one_more_manifest(trained: Path) -> None:
    described = lm_json.manifest_path(trained)
    said = json.loads(described.read_bytes())
    assert set(said) == {*KEYS, "checksum"}  # other programs read them
    del said["checksum"]
    content = lm_json.read(described)
    assert (content.stage, content.finished, content.facts) == ("lm", True, said)
    assert content.fingerprint == content.made_from.fingerprint() == said["fingerprint"]
    assert content.counts["kept"] == 40
    assert [r.path for r in content.files] == ["es.bin", "es.rejected/rejected/a.jsonl.jsonl"]
    assert verify(trained.parent) == (2, [])
    assert manifest.resume(content, described, content.made_from) == "finished"


def test_a_model_renamed_with_all_its_files_is_as_its_manifest_says(trained: Path) -> None:
    for path in sorted(trained.parent.iterdir()):
        path.rename(path.with_name(path.name.replace("es.", "es.v2.")))
    lm_stage([str(trained.parents[1] / "a.jsonl")], trained, WORDS, Context(max_rejected=0.5))
    assert verify(trained.parent) == (4, [])


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("lm_sha256", "0" * 64, "es.bin: sha256 differs"),
        ("documents", {"read": 41, "kept": 39, "sampled_out": 0, "rejected": {"not JSON": 1}}, "read 41 != 40"),
        ("items", [{"name": "a.jsonl", "read": 40, "kept": 40}], "read is 41, but its items add up to 40"),
        ("fingerprint", "0" * 32, "the fingerprint doesn't match"),
        ("documents", 3, "can't be read"),
        ("documents", {"rejected": [1]}, "can't be read"),
        ("sentences", "x", "at `$.sentences`"),
        ("counts", [506, {}], "at `$.counts[1]`"),
        ("made_from", 3, "can't be read"),
    ],
)
def test_what_lm_json_says_is_verified(trained: Path, key: str, value: object, problem: str) -> None:
    described = lm_json.manifest_path(trained)
    described.write_bytes(lm_json.encode({**lm_json.read(described).facts, key: value}))
    assert any(problem in line for line in verify(trained.parent)[1])


def test_a_damaged_model_is_made_again(trained: Path) -> None:
    source, kept = str(trained.parents[1] / "a.jsonl"), trained.read_bytes()
    loose = Context(max_rejected=0.5)
    trained.unlink()
    with pytest.raises(DamagedFile, match=r"es\.bin is missing .* --rebuild"):
        lm_stage([source], trained, WORDS, loose)
    described = lm_json.manifest_path(trained)
    described.write_bytes(described.read_bytes()[:-9])
    with pytest.raises(DamagedFile, match=r"es\.json can't be read .* --rebuild"):
        lm_stage([source], trained, WORDS, loose)
    assert "can't be read" in verify(trained.parent)[1][0]
    assert lm_stage([source], trained, WORDS, Context(rebuild=True, max_rejected=0.5)).state == "new"
    assert trained.read_bytes() == kept


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_strangers_json_is_never_overwritten(tmp_path: Path, rebuild: bool) -> None:
    written(tmp_path / "notes.json", '{"format": "mine"}')
    source = written(tmp_path / "a.jsonl", GOOD)
    with pytest.raises(StaleOutput, match=r"notes\.json is not the manifest of a language model"):
        lm_stage([source], tmp_path / "notes.bin", WORDS, Context(rebuild=rebuild))


def test_a_model_that_no_stage_made_is_verified_and_not_taken_for_one(tmp_path: Path) -> None:
    source, out = written(tmp_path / "a.jsonl", GOOD), tmp_path / "lm.bin"
    train_lm(["el tamiz"], out, settings=WORDS, extra=lambda: {"documents": 3})
    assert verify(tmp_path) == (1, [])
    with pytest.raises(StaleOutput, match="the stage: train_lm -> lm"):
        lm_stage([source], out, WORDS, Context())


def test_every_changed_byte_of_lm_json_is_noticed(trained: Path) -> None:
    described = lm_json.manifest_path(trained)
    data = described.read_bytes()
    for n in range(0, len(data), 7):
        described.write_bytes(data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :])
        assert "es.json" in verify(trained.parent)[1][0]
    described.write_bytes(data)
    assert verify(trained.parent)[1] == []
