"""`tamiz tokenizer train`: the same bytes whatever the workers, files and interruptions; every row accounted for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pipelines.words
from corpora import manifest
from corpora.documents.items import work_items
from corpora.errors import StaleOutput, TamizError
from pipelines.once import once, read_note
from pipelines.settings import RunnerSettings
from pipelines.words import CountWork
from tamiz.stages.common import Context
from tamiz.stages.tokenizer import tokenizer_stage
from tamiz.verify import verify
from tests.command import exit_code
from tests.conftest import counts, digests
from tests.reference.words import count
from tokenizer_train.settings import TokenizerSettings

BPE = TokenizerSettings(kind="bpe", vocab_size=900, extra_ids=0, lowercase=False)
UNIGRAM = TokenizerSettings(vocab_size=500, extra_ids=20, most_words=800)


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory) -> dict[str, Path]:
    """Trained by one worker."""
    found = {}
    for settings in (BPE, UNIGRAM):
        found[settings.kind] = tmp_path_factory.mktemp(settings.kind) / "tokenizer"
        tokenizer_stage(corpus, found[settings.kind], settings, Context())
    return found


@pytest.mark.parametrize("settings", [BPE, UNIGRAM], ids=["bpe", "unigram"])
def test_two_workers_and_other_files_give_the_same_bytes(whole, corpus, demo, tmp_path, settings):
    report = tokenizer_stage(corpus, tmp_path / "two", settings, Context(RunnerSettings(workers=2)))
    tokenizer_stage([str(demo / "documents.jsonl")], tmp_path / "one-file", settings, Context())
    assert digests(tmp_path / "two") == digests(tmp_path / "one-file") == digests(whole[settings.kind])
    assert len(digests(tmp_path / "two")) == 5  # words.png too
    assert verify(tmp_path / "two")[1] == []
    assert tokenizer_stage(corpus, tmp_path / "two", settings, Context()).state == "finished"
    again = tokenizer_stage(corpus, whole[settings.kind], settings, Context())
    facts = [{k: v for k, v in f.items() if k != "self_check"} for f in (report.facts, again.facts)]
    assert facts[0] == facts[1]


def test_facts_are_those_of_the_text(whole, demo):
    texts = [json.loads(line)["text"] for line in (demo / "documents.jsonl").read_bytes().splitlines()]
    for kind, keep_spaces in (("bpe", True), ("unigram", False)):
        facts, expected = manifest.read(whole[kind]).facts, count(texts, keep_spaces)
        words = facts["words"]
        assert (words["counted"], words["distinct"], words["cut"]) == (expected.total(), len(expected), 0)
        assert (facts["documents"], facts["bytes"]) == (len(texts), sum(len(text.encode()) for text in texts))
        assert facts["self_check"]["different"] == 0
    assert 700 < words["learned_from"] <= 800
    assert words["unit"] > 1


def test_an_interrupted_run_continues(whole, corpus, tmp_path, monkeypatch):
    """Stopped in an item, then in training: finished items answer from their counts, and the bytes are the same."""
    real, done = CountWork.__call__, []

    def second_fails(self, item):
        if done:
            raise TamizError("stopped")
        done.append(item.name)
        return real(self, item)

    def stops(*_: object, **__: object):
        raise TamizError("stopped")

    monkeypatch.setattr(CountWork, "__call__", second_fails)
    with pytest.raises(TamizError, match="stopped"):
        tokenizer_stage(corpus, tmp_path, UNIGRAM, Context())
    monkeypatch.setattr(CountWork, "__call__", lambda self, item: done.append(item.name) or real(self, item))
    with monkeypatch.context() as patched:
        patched.setattr(pipelines.words, "train_on_words", stops)
        with pytest.raises(TamizError, match="stopped"):
            tokenizer_stage(corpus, tmp_path, UNIGRAM, Context())
    assert sorted(done) == sorted(item.name for item in work_items(corpus))
    assert tokenizer_stage(corpus, tmp_path, UNIGRAM, Context()).state == "continued"
    assert len(done) == 4
    assert digests(tmp_path) == digests(whole["unigram"])
    assert verify(tmp_path)[1] == []


def test_an_item_with_damaged_counts_is_counted_again(corpus, tmp_path):
    work = CountWork(str(tmp_path), "f", True, 0)
    item = work_items(corpus)[0]
    first = once(work, item)
    assert first == read_note(work, item)
    path = tmp_path / first.scratch[0].path
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert once(work, item) == first
    assert path.read_bytes() == content


def test_counts_are_spilled(whole, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(pipelines.words, "SPILL_BYTES", 1)
    monkeypatch.setattr("corpora.documents.reading.BATCH_BYTES", 4096)
    tokenizer_stage(corpus, tmp_path, BPE, Context())
    assert digests(tmp_path) == digests(whole["bpe"])


def test_bad_rows_are_kept_aside_and_a_damaged_file_is_named(whole, demo, tmp_path, capsys):
    lines = (demo / "documents.jsonl").read_bytes().splitlines(keepends=True)
    bad = b'{"text": 1}\nnonsense\n'
    (tmp_path / "in.jsonl").write_bytes(lines[0] + bad + b"".join(lines[1:]))
    command = ["tokenizer", "train", "--kind", "bpe", "--vocab-size", "900", "--input", str(tmp_path / "in.jsonl")]
    assert exit_code(*command, "--out", str(tmp_path / "out"), "--workers", "2") == 0
    assert counts(tmp_path / "out") == {
        "read": len(lines) + 2,
        "kept": len(lines),
        "sampled_out": 0,
        "rejected": {"not JSON": 1, "text not a string": 1},
    }
    assert {k: v for k, v in digests(tmp_path / "out").items() if "/" not in k} == digests(whole["bpe"])
    assert verify(tmp_path / "out")[1] == []
    import zstandard

    whole_file = zstandard.compress(b"".join(lines) * 3)
    (tmp_path / "cut.jsonl.zst").write_bytes(whole_file[:-20])
    command[-1] = str(tmp_path / "cut.jsonl.zst")
    assert exit_code(*command, "--out", str(tmp_path / "damaged")) == 1
    assert "damaged" in capsys.readouterr().err


def test_errors_are_one_line(corpus, tmp_path, capsys):
    command = ["tokenizer", "train", "--kind", "bpe", "--input", corpus[0], "--out", str(tmp_path / "out")]
    assert exit_code(*command, "--vocab-size", "200") == 2
    assert "vocab-size is 200: with 0 extra-ids it must be 268 to" in capsys.readouterr().err
    assert exit_code(*command, "--vocab-size", "900", "--wrokers", "2") == 2
    assert "did you mean --workers" in capsys.readouterr().err
    assert exit_code(*command, "--vocab-size", "90000") == 1
    error = capsys.readouterr().err
    assert "the text supports" in error
    assert error.count("\n") == 1
    most = error.split("supports at most ")[1].split(":")[0]
    assert exit_code(*command, "--vocab-size", most, "--rebuild") == 0
    assert exit_code(*command, "--vocab-size", most, "--sample", "50") == 1
    assert "sample: null -> 50" in capsys.readouterr().err


def test_a_sample_learns_from_lines(corpus, tmp_path):
    settings = TokenizerSettings(vocab_size=300, extra_ids=0, sample=60)
    report = tokenizer_stage(corpus, tmp_path, settings, Context())
    assert report.facts["documents"] == 60
    assert "words" not in report.facts
    with pytest.raises(StaleOutput, match="sample: 60 -> null"):
        tokenizer_stage(corpus, tmp_path, TokenizerSettings(vocab_size=300, extra_ids=0), Context())
