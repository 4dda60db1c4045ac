"""What people do wrong with language models, and one line that says so."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from corpora import lm_json
from corpora.errors import BadArgument, DamagedFile, StaleOutput, TamizError
from corpora.perplexity import PerplexityModel
from corpora.perplexity.lm_header import check_lm
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from tamiz.stages.common import Context
from tamiz.stages.lm import lm_stage

WORDS = LmSettings(order=2, words=True)
SKIPPING = LmSettings(order=2, words=True, skip_symbols=True)
TEXTS = [f"el tamiz número {n} separa\nla harina" for n in range(40)]


def source(folder: Path, texts: list[str]) -> str:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>"])
@pytest.mark.parametrize("small_below", [0, 10_000_000])
def test_a_reserved_word_is_named_with_its_row_or_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, small_below: int
) -> None:
    monkeypatch.setattr("corpora.perplexity.train_lm.SMALL_INPUT", small_below)
    texts = [*TEXTS[:20], f"una etiqueta{word} no, pero\n{word}\t{word} sí", *TEXTS[20:]]
    out = tmp_path / "lm.bin"
    with pytest.raises(TamizError, match=rf"a\.jsonl, row 20: .* the word '{word}', .*--skip-symbols"):
        lm_stage([source(tmp_path, texts)], out, WORDS, Context())
    assert not lm_json.progress_folder(out).exists()
    report = lm_stage([source(tmp_path, texts)], out, SKIPPING, Context())
    assert dict(report.rows)["reserved words skipped"] == "2"
    texts[20] = f"una etiqueta{word} no, pero\n sí"
    train_lm(texts, tmp_path / "without.bin", settings=WORDS)
    assert out.read_bytes() == (tmp_path / "without.bin").read_bytes()


def test_skipping_is_a_setting_of_its_own(tmp_path: Path) -> None:
    given, out = source(tmp_path, TEXTS), tmp_path / "lm.bin"
    lm_stage([given], out, WORDS, Context())
    assert "skip_symbols" not in lm_json.read(out.with_suffix(".json")).made_from.settings
    with pytest.raises(StaleOutput, match="skip_symbols"):
        lm_stage([given], out, SKIPPING, Context())
    with pytest.raises(ValueError, match="skip_symbols is for raw words"):
        LmSettings(skip_symbols=True)


@pytest.mark.parametrize("name", ["lm.bin", "lm.spiece.model"])
@pytest.mark.parametrize("rebuild", [False, True])
def test_a_brought_file_is_not_overwritten(tmp_path: Path, name: str, rebuild: bool) -> None:
    brought, out = tmp_path / name, tmp_path / "lm.bin"
    brought.write_bytes(b"brought")
    with pytest.raises(StaleOutput, match=rf"{name} is there, but no lm\.json"):
        lm_stage([source(tmp_path, TEXTS)], out, WORDS, Context(rebuild=rebuild))
    assert brought.read_bytes() == b"brought"
    lm_json.progress_folder(out).mkdir(parents=True)  # now it is what an interrupted training left
    assert lm_stage([source(tmp_path, TEXTS)], out, WORDS, Context(rebuild=rebuild)).state == "new"
    assert not (tmp_path / ".progress").exists()


@pytest.mark.parametrize("settings", [WORDS, LmSettings(train_tokenizer=50)])
def test_nothing_to_learn_from_leaves_nothing(tmp_path: Path, settings: LmSettings) -> None:
    given = source(tmp_path, [])
    with pytest.raises(BadArgument, match="no sentence"):
        lm_stage([given], tmp_path / "lm.bin", settings, Context())
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "es.bin").touch()
    with pytest.raises(BadArgument, match=r"is a folder: name the file in it, such as .*/es\.bin"):
        PerplexityModel(tmp_path)


@pytest.mark.parametrize(("name", "why"), [("folder", "is a folder"), ("gone.model", "no such file")])
def test_another_tokenizer_that_is_no_file_is_not_said_to_be_the_model_s(tmp_path: Path, name: str, why: str) -> None:
    train_lm(TEXTS, tmp_path / "lm.bin", settings=LmSettings(order=2, train_tokenizer=50))
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadArgument, match=rf"{name}: {why}; leave it out: .*lm\.json names the model's own$"):
        PerplexityModel(tmp_path / "lm.bin", tokenizer=tmp_path / name)


def test_a_model_whose_own_tokenizer_is_gone_is_named(tmp_path: Path) -> None:
    model = tmp_path / "lm.bin"
    train_lm(TEXTS, model, settings=LmSettings(order=2, train_tokenizer=60))
    lm_json.tokenizer_path(model).unlink()
    with pytest.raises(BadArgument, match=r"lm.spiece.model: no such file; .*lm.json says that the model needs it"):
        PerplexityModel(model)


def test_compressed_and_marked_files_say_what_to_do(tmp_path: Path) -> None:
    arpa = b"\\data\\\nngram 1=1\n"
    for data, problem in ((gzip.compress(arpa), "gunzip it first"), (b"\xef\xbb\xbf" + arpa, "first 3 bytes")):
        (tmp_path / "lm.arpa.gz").write_bytes(data)
        with pytest.raises(DamagedFile, match=problem):
            check_lm(tmp_path / "lm.arpa.gz")


def test_kernels_need_the_compiler() -> None:
    code = "from corpora.errors import TamizError\ntry:\n import corpora.compiled\nexcept TamizError as e:\n print(e)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": ":".join(sys.path)}
    )
    assert "NUMBA_DISABLE_JIT" in done.stdout
    assert done.stdout.count("\n") == 1


def _open_full(*_: object) -> IO[bytes]:
    return open("/dev/full", "wb")


def test_a_disk_too_small_for_the_lines_is_named_with_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corpora.perplexity import lm_tokenizer

    monkeypatch.setattr(lm_tokenizer, "open", _open_full, raising=False)
    with pytest.raises(TamizError, match=r"No space left on device: needs more than [\d,]+ bytes, [\d,]+ free in "):
        train_lm(TEXTS, tmp_path / "lm.bin", settings=LmSettings(order=2, train_tokenizer=60))


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full takes nothing: what numpy's own tofile says of it is '8 requested and 0 written'."""
    from corpora.perplexity import kenlm_binary

    monkeypatch.setattr(kenlm_binary, "open", _open_full, raising=False)
    with pytest.raises(TamizError, match="No space left on device"):
        train_lm(TEXTS, tmp_path / "lm.bin", settings=WORDS)
