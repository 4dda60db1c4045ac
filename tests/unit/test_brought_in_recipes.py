"""Tokenizers that recipes bring: made into folders that a model can be saved with, with the same ids and sha256."""

from __future__ import annotations

import json
import shutil

import pytest

from corpora import manifest
from corpora.encoding import load_encoder
from corpora.errors import BadArgument, StaleOutput, TamizError
from tamiz.recipes.load import DEMO
from tamiz.stages import Context
from tamiz.stages.brought import becomes_folder, brought_stage, check, is_of_hub
from tamiz.verify import verify
from tests.encoders import ODD, flat


@pytest.mark.parametrize("file", ["byt5", "demo:gpt2"])
def test_a_folder_is_made_with_the_same_ids(file, tmp_path):
    report = brought_stage(file, tmp_path, Context())
    made, given = load_encoder(str(tmp_path)), load_encoder("byt5" if file == "byt5" else str(DEMO / "gpt2"))
    assert (made.sha256, made.vocab_size, made.eos_id) == (given.sha256, given.vocab_size, given.eos_id)
    assert [made.sentinel_id(k) for k in range(made.num_sentinels)] == [
        given.sentinel_id(k) for k in range(given.num_sentinels)
    ]
    assert flat(made, ODD) == flat(given, ODD)
    assert dict(report.rows)["existing, sha256"] == made.sha256[:16] + "…"
    assert manifest.read(tmp_path).facts["sha256"] == made.sha256
    assert verify(tmp_path)[1] == []
    assert (report.state, brought_stage(file, tmp_path, Context()).state) == ("new", "finished")


def test_google_s_sentinels_survive_in_the_folder(tmp_path):
    brought_stage("byt5", tmp_path, Context())
    assert load_encoder(str(tmp_path)).sentinel_id(0) == 258
    config = json.loads((tmp_path / "tokenizer_config.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "google_sentinels": False}))
    assert load_encoder(str(tmp_path)).sentinel_id(0) == 259  # transformers' own


def test_autotokenizer_gives_the_ids(tmp_path):
    transformers = pytest.importorskip("transformers")
    for file in ("byt5", "demo:gpt2"):
        folder = tmp_path / file.replace(":", "-")
        brought_stage(file, folder, Context())
        theirs, ours = transformers.AutoTokenizer.from_pretrained(folder), load_encoder(str(folder))
        texts = ["¿Dónde está la niña?", "안녕하세요 日本語", "a\n\n  b"]
        assert theirs(texts, add_special_tokens=False).input_ids == flat(ours, texts)
        assert (len(theirs), theirs.eos_token_id) == (ours.vocab_size, ours.eos_id)


def test_other_files_are_another_tokenizer(tmp_path):
    files, out = tmp_path / "files", tmp_path / "out"
    shutil.copytree(DEMO / "gpt2", files)
    brought_stage(str(files), out, Context())
    merges = (files / "merges.txt").read_text().splitlines(keepends=True)
    (files / "merges.txt").write_text("".join(merges[:-1]))
    with pytest.raises(StaleOutput):
        brought_stage(str(files), out, Context())
    assert brought_stage(str(files), out, Context(rebuild=True)).state == "new"


def test_what_is_made_and_what_is_used_where_it_lies(tmp_path):
    brought_stage("demo:gpt2", tmp_path / "whole", Context())
    assert not becomes_folder(str(tmp_path / "whole"))
    assert becomes_folder("byt5")
    assert becomes_folder("openai-community/gpt2")
    assert not is_of_hub("runs/tokenizer.json")
    (tmp_path / "a").mkdir()
    with pytest.raises(BadArgument, match="has no tokenizer"):
        check(str(tmp_path / "a"), tmp_path / "out")


def test_the_hub_out_of_reach_is_told_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TamizError) as told:
        check("openai-community/gpt2", tmp_path / "out")
    assert "hf download openai-community/gpt2 --local-dir gpt2`, and give --set tokenizer.file=gpt2" in str(
        told.value
    )
    assert not (tmp_path / "out").exists()
