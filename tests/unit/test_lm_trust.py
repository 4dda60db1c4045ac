"""Files from elsewhere: what no library of ours may crash on, and what opens only once it is trusted."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from corpora import extras
from corpora.errors import BadArgument, DamagedFile
from corpora.perplexity.lm_files import resolve_lm
from corpora.perplexity.lm_manifest import check_trusted, recorded_sha256
from corpora.perplexity.routing import LmChoice
from tamiz.recipes.load import load
from tamiz.stages.lm import foreign_lm
from tests.command import tamiz

ROOT = Path(__file__).parents[2]
FILES = {p.stem: p for p in sorted((ROOT / "tests" / "golden" / "kenlm").iterdir())}
BY_KENLM = [name for name in FILES if not name.startswith("probing")]


@pytest.mark.parametrize("name", ["probing", "probing-v", "probing-p3"])
def test_no_damage_makes_scoring_read_outside_the_file(name: str) -> None:
    """Ids come from a vocabulary whose ids are checked, cells are taken modulo the table's size, steps are counted:
    so nothing outside is read, and every look-up ends. The process would die of a read outside."""
    command = [sys.executable, "-m", "tests.score_damaged", str(FILES[name]), "3", "300"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    refused, while_scoring, scored = map(int, done.stdout.split())
    assert refused + while_scoring + scored == 300
    assert min(refused, scored) > 50


@pytest.fixture
def copied(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / f"lm{FILES[request.param].suffix}"
    path.write_bytes(FILES[request.param].read_bytes())
    return path


@pytest.mark.parametrize("copied", BY_KENLM, indirect=True)
def test_what_kenlm_loads_needs_trust(copied: Path) -> None:
    with pytest.raises(BadArgument, match=r"kenlm loads it, .* pass --trust-lm .* records its sha256") as raised:
        resolve_lm(copied, mode="bertin")
    assert "\n" not in str(raised.value)
    assert [p.name for p in copied.parent.iterdir()] == [copied.name]  # a refusal records nothing
    found = resolve_lm(copied, mode="bertin", trust=True)
    digest = hashlib.sha256(copied.read_bytes()).hexdigest()
    assert found.sha256 == {"lm_sha256": digest, "tokenizer_sha256": None}
    assert copied.with_name(f"{copied.name}.sha256").read_text() == f"{digest}  {copied.name}\n"
    assert resolve_lm(copied, mode="bertin") == found


@pytest.mark.parametrize("copied", BY_KENLM, indirect=True)
def test_a_changed_file_is_refused_whoever_trusts_it(copied: Path) -> None:
    resolve_lm(copied, mode="bertin", trust=True)
    content = bytearray(copied.read_bytes())
    content[len(content) // 2] ^= 1  # a weight, which no check of sizes sees
    copied.write_bytes(content)
    for trust in (False, True):
        with pytest.raises(DamagedFile, match="was recorded at first use"):
            check_trusted(copied, "trie", trust=trust)


@pytest.mark.parametrize("copied", ["trie"], indirect=True)
def test_a_checksum_by_hand_is_a_record(copied: Path) -> None:
    """As `sha256sum lm.bin > lm.bin.sha256` writes it, or a publisher."""
    digest = hashlib.sha256(copied.read_bytes()).hexdigest()
    copied.with_name("lm.bin.sha256").write_text(f"{digest.upper()} *elsewhere/lm.bin\n")
    assert check_trusted(copied, "trie") == digest
    copied.with_name("lm.bin.sha256").write_text("something else")
    with pytest.raises(DamagedFile, match="remove"):
        check_trusted(copied, "trie")


@pytest.mark.parametrize("copied", ["probing"], indirect=True)
def test_a_probing_binary_is_recorded_at_first_use(copied: Path) -> None:
    digest = resolve_lm(copied, mode="bertin").sha256["lm_sha256"]
    assert copied.with_name("lm.bin.sha256").read_text() == f"{digest}  lm.bin\n"


@pytest.mark.parametrize("copied", ["trie"], indirect=True)
def test_lm_json_is_a_record(copied: Path) -> None:
    described = {
        "format": "tamiz-lm", "version": 1, "mode": "bertin", "normaliser": None, "tokenizer_sha256": None,
        "lm_sha256": hashlib.sha256(copied.read_bytes()).hexdigest(),
    }  # fmt: skip
    copied.with_suffix(".json").write_text(json.dumps(described))
    assert resolve_lm(copied).mode == "bertin"
    copied.with_suffix(".json").write_text(json.dumps({**described, "lm_sha256": "0" * 64}))
    with pytest.raises(DamagedFile, match=r"lm\.json says"):
        resolve_lm(copied, trust=True)


@pytest.mark.parametrize("copied", BY_KENLM, indirect=True)
def test_the_command_says_how_to_trust(copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.txt").write_text("una casa\ny otra\n")
    arguments = [
        "score",
        "--input",
        tmp_path / "in.txt",
        "--lm",
        copied,
        "--mode",
        "bertin",
        "--out",
        tmp_path / "out",
    ]
    for more, code in (([], 2), (["--trust-lm"], 0), ([], 0)):
        ended, _, error = tamiz(capsys, *arguments, *more)
        assert ended == code
        assert ("--trust-lm" in error) == (code == 2)


@pytest.mark.parametrize("copied", ["array_trie"], indirect=True)
def test_a_recipe_may_trust(copied: Path) -> None:
    overrides = [f"lm.file={copied}", "lm.tokenizer=", "lm.input=", "score.mode=bertin"]
    recipe = load("t5-spanish-efficient-tiny", overrides=[*overrides, "lm.trust=true"])
    choice = LmChoice(str(copied), mode=recipe.score.mode)
    with pytest.raises(BadArgument, match=r"lm\.trust = true"):
        foreign_lm(choice)
    assert foreign_lm(replace(choice, trust=recipe.lm.trust)).state == "finished"


WITHOUT_KENLM = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "kenlm":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refused())
from tamiz.cli import main
main(sys.argv[1:])
"""


def without_kenlm(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_KENLM, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_training_and_scoring_need_no_kenlm(demo: Path, tmp_path: Path) -> None:
    """All but what kenlm alone reads, which says what to install."""
    (tmp_path / "in.txt").write_text("Una casa grande.\nDos perros.\n")
    text = demo / "clean.jsonl"
    for name, more in (("pieces.bin", ["--train-tokenizer", 300]), ("words.bin", ["--words"])):
        trained = without_kenlm("lm", "train", "--input", text, "--order", 3, *more, "--out", tmp_path / name)
        assert trained.returncode == 0, trained.stderr
        out = tmp_path / f"{name}.scores"
        scored = without_kenlm("score", "--input", tmp_path / "in.txt", "--lm", tmp_path / name, "--out", out)
        assert scored.returncode == 0, scored.stderr
        assert (out / "in.txt.parquet").is_file()
    trie = tmp_path / "trie.bin"
    trie.write_bytes(FILES["trie"].read_bytes())
    refused = without_kenlm(
        "score",
        "--input",
        tmp_path / "in.txt",
        "--lm",
        trie,
        "--mode",
        "bertin",
        "--trust-lm",
        "--out",
        tmp_path / "no",
    )
    assert refused.returncode == 1
    assert extras.line("kenlm") in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_record_never_lies_where_a_manifest_names_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "manifest.json").touch()
    model = tmp_path / "tokenizer" / "spiece.model"
    model.write_bytes(b"pieces")
    digest = recorded_sha256(model)
    assert {p.name for p in model.parent.iterdir()} == {"manifest.json", "spiece.model"}
    model.write_bytes(b"others")
    with pytest.raises(DamagedFile, match="recorded at first use"):
        recorded_sha256(model)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # nothing can be recorded: said, and no failure
    model.write_bytes(b"pieces")
    assert recorded_sha256(model) == digest
    assert "not recorded" in caplog.text
