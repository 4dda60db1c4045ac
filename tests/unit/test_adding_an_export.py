"""An outsider's export: one module, named by TAMIZ_EXTENSIONS; flags, refusals, manifest and card come with it."""

from __future__ import annotations

import shutil

import pytest

from tests import outsider
from tests.conftest import ROOT
from tests.make_shards import VOCAB_SIZE, make_tokenizer


def test_it_exports_a_model(tmp_path):
    pytest.importorskip("torch")
    from tamiz.trainer.families.llama import Llama

    outsider.copy_toy("export", tmp_path)
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_layers": 1, "num_heads": 2}
    Llama(vocab_size=VOCAB_SIZE, **shape).build(seed=0, pad_id=0, eos_id=1).save_pretrained(tmp_path / "model")
    for path in make_tokenizer(tmp_path / "tokenizer").iterdir():
        shutil.copy(path, tmp_path / "model")
    done = outsider.tamiz(tmp_path, "export", "model", "--to", "vectors", "--out", "out", extensions="export")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "vectors.txt").read_text().splitlines()
    assert lines[0] == f"{VOCAB_SIZE} 8"
    assert (lines[4].split()[0], len(lines[4].split()), len(lines)) == ("palabra0", 9, VOCAB_SIZE + 1)
    assert f"# {tmp_path.name}: Embedding" in (tmp_path / "out" / "README.md").read_text()
    assert str(ROOT) not in (tmp_path / "out" / "README.md").read_text()
    (tmp_path / "model" / "README.md").write_text("---\nlicense: mit\n---\n\n# Palabras\n\n# Other\n")
    again = ("export", "model", "--to", "vectors", "--out", "named")
    assert outsider.tamiz(tmp_path, *again, extensions="export").returncode == 0
    assert "\n# Palabras: Embedding\n" in (tmp_path / "named" / "README.md").read_text()
    assert outsider.tamiz(tmp_path, "verify", "out", extensions="export").returncode == 0
