"""The fine-tuning example: how it labels and splits, and that it learns what can be learnt."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from corpora.errors import BadArgument, TamizError
from tamiz.trainer import finetune
from tamiz.trainer.families.t5 import T5
from tests import warm
from tests.make_shards import VOCAB_SIZE, make_tokenizer

TINY = T5(vocab_size=VOCAB_SIZE, d_model=32, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1)


def test_the_class_is_the_shortest_beginning_that_tells_apart():
    documents = [(f"t{n}", f"https://host/{'ab'[n % 2]}/c/{n}") for n in range(10)]
    assert [label for _, label in finetune.label_by_address(documents)] == ["a", "b"] * 5
    with pytest.raises(BadArgument, match="--label-column"):
        finetune.label_by_address([("x", "https://host/a"), ("y", "https://host/a")])


def test_classes_are_equal_and_passages_of_a_text_stay_together():
    long = " ".join(f"w{n}" for n in range(3 * finetune.PASSAGE_WORDS))
    texts = [(f"{n} {long}", "many" if n % 3 else "few") for n in range(60)]
    examples = [e for text, label in texts for e in finetune.passages(text, label)]
    chosen = finetune.choose(examples, num_classes=2, rows=100, seed=0)
    assert Counter(e.label for e in chosen) == {"many": 50, "few": 50}
    train, held_out = finetune.split(chosen, seed=0)
    assert held_out
    assert not {e.origin for e in train} & {e.origin for e in held_out}


def words(draw: random.Random, first: int) -> str:
    return " ".join(f"palabra{draw.randrange(first, first + 25)}" for _ in range(12))


def test_it_learns_and_says_so(tmp_path, capsys):
    draw = random.Random(0)
    rows = [{"text": words(draw, 25 * (n % 2)), "class": f"palabra{50 + n % 2}"} for n in range(120)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = make_tokenizer(tmp_path / "m")
    TINY.build(seed=0).save_pretrained(folder)
    told = [str(folder), "--input", str(tmp_path / "d.jsonl"), "--label-column", "class", "--length", "16"]
    assert finetune.main([*told, "--steps", "60", "--learning-rate", "0.01", "--num-threads", "1"]) == 0
    assert "always the most frequent class: " in capsys.readouterr().out
    assert finetune.main([*told, "--steps", "1", "--learning-rate", "1e-9", "--num-threads", "1"]) == 1


def test_a_folder_without_a_model_is_named(tmp_path):
    """By the command, whose documents are the demo's."""
    script = Path(finetune.__file__)
    done = warm.run(["-m", "tamiz.finetune", tmp_path], cwd=script.parents[2], libraries=warm.TORCH)
    assert done.returncode == 2
    expected = f"{tmp_path} has no trained model: name the folder that `tamiz train` or `run` wrote"
    assert done.stderr == f"error: {expected}\n"


def test_another_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(BadArgument, match="has a Llama: this example fine-tunes a T5"):
        finetune.load(tmp_path)


def test_the_help_shows_defaults(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        finetune.main(["--help"], documents="demo.jsonl")
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("usage: python -m tamiz.finetune")
    for default in ("demo.jsonl", "400", "8", "0.001", "1600"):
        assert f"[default: {default}]" in said
    assert "None" not in said


def test_a_fine_tuned_model_is_saved_as_training_saves_it(tmp_path):
    """transformers 5 leaves out the key without which transformers 4 ties the output layer of a T5 1.1."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_tokenizer(tmp_path / "tokenizer"))
    shape = {"d_model": 16, "d_ff": 16, "d_kv": 8, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}
    for tied in (True, False):
        model = T5(vocab_size=VOCAB_SIZE, tie_embeddings=tied, **shape).build(seed=0)
        finetune.save(model, tokenizer, tmp_path / str(tied))
        config = json.loads((tmp_path / str(tied) / "config.json").read_bytes())
        assert config["tie_word_embeddings"] is tied
    (tmp_path / "file").write_text("")
    with pytest.raises(TamizError, match=r"can't write the model to .*file"):
        finetune.save(model, tokenizer, tmp_path / "file")
