"""The fine-tuning examples: what the loss counts, how rows are split and shuffled, and that the exit code tells."""

from __future__ import annotations

import importlib
import json
import random
from argparse import ArgumentTypeError
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tests.conftest import ROOT
from tests.make_shards import VOCAB_SIZE, make_tokenizer

TINY_T5 = T5(vocab_size=VOCAB_SIZE, d_model=32, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1)
TINY_LLAMA = Llama(vocab_size=VOCAB_SIZE, hidden_size=32, intermediate_size=32, num_layers=1, num_heads=2)
LEARNING = ["--learning-rate", "0.02", "--num-threads", "1"]
NOT_LEARNING = ["--steps", "1", "--learning-rate", "1e-9", "--num-threads", "1"]


@pytest.fixture
def example(monkeypatch):
    """Loads an example by its name, as if its folder were the script's."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"finetune_{name}")

    return load


def words(draw: random.Random, first: int) -> str:
    return " ".join(f"palabra{draw.randrange(first, first + 20)}" for _ in range(6))


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_questions_have_equally_many_answers_of_each_kind(example):
    rows = example("rows").question_rows(seed=0)
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counted[row.instruction][row.answer] += 1
        assert row.text in " ".join(row.origin.split())
        if "pergunta" in row.instruction:
            assert row.answer == ("sim" if "?" in row.text else "não")
    assert [sorted(answers) for answers in counted.values()] == [["espanhol", "inglês", "português"]] + 2 * [
        ["não", "sim"]
    ]
    assert all(len(set(answers.values())) == 1 for answers in counted.values())
    assert sum(map(len, counted.values())) * 100 < len(rows)


def test_the_news_name_what_the_summary_names(example):
    rows = example("rows").news_rows(seed=0)
    assert len({row.text for row in rows}) > 900
    assert all(part in row.text for row in rows for part in row.answer.replace(":", ",").split(", "))


def test_rows_of_a_text_are_on_one_side(example):
    module = example("rows")
    rows = module.question_rows(seed=0)
    train, held_out = module.split(rows, seed=0)
    assert sorted([*train, *held_out]) == sorted(rows)
    assert 0.15 < len(held_out) / len(rows) < 0.35
    assert not {row.origin for row in train} & {row.origin for row in held_out}
    assert module.split(rows, seed=1) != (train, held_out)


def test_shuffled_answers_stay_with_their_instruction(example):
    module = example("rows")
    rows = module.question_rows(seed=0)
    mixed = module.shuffled(rows, seed=0)
    assert [row.prompt for row in mixed] == [row.prompt for row in rows]
    assert Counter((r.instruction, r.answer) for r in mixed) == Counter((r.instruction, r.answer) for r in rows)
    assert 0.3 < sum(a == b for a, b in zip(rows, mixed, strict=True)) / len(rows) < 0.6
    alone = [module.Row("", f"i{n}", "", f"a{n}") for n in range(50)]
    assert sum(a == b for a, b in zip(alone, module.shuffled(alone, seed=0), strict=True)) < 10


def test_only_answers_count(example, tmp_path):
    from transformers import AutoTokenizer

    module, row = example("instructions"), example("rows").Row
    tokenizer = AutoTokenizer.from_pretrained(make_tokenizer(tmp_path))
    rows = [row("", "palabra1 palabra2", "palabra3", "palabra4"), row("", "palabra1", "", "palabra5 palabra6")]
    pairs = module.encode(tokenizer, rows)
    batch = module.batch_of(pairs)
    first, second = ([tokenizer.convert_tokens_to_ids(f"palabra{n}") for n in numbers] for numbers in ([4], [5, 6]))
    assert batch["labels"].tolist() == [[-100, -100, -100, *first, 1], [-100, *second, 1, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    loss, right = module.losses(TINY_LLAMA.build(seed=0), batch)
    assert loss.shape == (5,)
    assert right.tolist() == [False, False]
    assert module.encode(tokenizer, [row("", " ".join(["palabra1"] * module.LENGTH), "", "palabra2")]) == []


def test_an_answer_is_right_only_if_all_its_ids_are(example):
    module = example("instructions")

    def model(input_ids, **_):  # predicts each id's successor
        return type("Output", (), {"logits": torch.nn.functional.one_hot(input_ids + 1, 20).float()})

    _, right = module.losses(model, module.batch_of([([3], [4, 5]), ([9], [4, 5]), ([3, 3], [4])]))
    assert right.tolist() == [True, False, True]


def test_rouge_l(example):
    rouge_l = example("rows").rouge_l
    assert rouge_l("La feria, hoy.", "la feria hoy") == 1.0
    assert rouge_l("police killed the gunman", "police kill the gunman") == pytest.approx(0.75)  # Lin 2004, 3.1
    assert rouge_l("the gunman kill police", "police kill the gunman") == pytest.approx(0.5)
    assert rouge_l("", "a") == 0.0


def test_instructions_that_can_be_followed_are(example, tmp_path, capsys):
    draw = random.Random(0)
    rows = [
        {"instruction": "palabra0", "input": words(draw, 1 + 20 * (n % 2)), "output": f"palabra{50 + n % 2}"}
        for n in range(120)
    ]
    folder = make_tokenizer(tmp_path / "m")
    TINY_LLAMA.build(seed=0).save_pretrained(folder)
    told = ["--model", str(folder), "--input", str(write(tmp_path / "rows.jsonl", rows))]
    assert example("instructions").main([*told, "--steps", "40", *LEARNING]) == 0
    said = capsys.readouterr().out
    assert "90 rows to train on, 30 held out" in said
    assert "shuffled answers: " in said
    assert example("instructions").main([*told, *NOT_LEARNING]) == 1


def test_summaries_that_can_be_learnt_are(example, tmp_path, capsys):
    draw = random.Random(0)
    rows = [{"text": words(draw, 20 * (n % 2)), "summary": f"palabra{50 + n % 2}"} for n in range(160)]
    folder = make_tokenizer(tmp_path / "m")
    TINY_T5.build(seed=0).save_pretrained(folder)
    told = ["--model", str(folder), "--input", str(write(tmp_path / "rows.jsonl", rows))]
    assert example("summaries").main([*told, "--steps", "60", *LEARNING]) == 0
    said = capsys.readouterr().out
    assert "of the lead: 0.000" in said
    assert "extra_id" not in said
    assert example("summaries").main([*told, *NOT_LEARNING]) == 1


def test_classes_of_the_demo_are_tried(example, tmp_path, capsys):
    folder = make_tokenizer(tmp_path / "m")
    TINY_T5.build(seed=0).save_pretrained(folder)
    rows = [{"text": f"palabra{n} palabra{n + 1}", "url": f"https://h/palabra{n % 2}/{n}"} for n in range(40)]
    told = ["--model", str(folder), "--input", str(write(tmp_path / "rows.jsonl", rows))]
    assert example("classification").main([*told, *NOT_LEARNING]) == 1
    assert "always the most frequent class: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "family"), [("classification", "llama"), ("summaries", "llama"), ("instructions", "t5")]
)
def test_another_family_or_no_model_is_refused(example, tmp_path, capsys, name, family):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    for folder, said in ((tmp_path, f"has a model of type {family}: name a "), (tmp_path / "none", "tamiz train")):
        with pytest.raises(SystemExit, match=r"^2$"):
            example(name).main(["--model", str(folder)])
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no rows"),
        ("{", "can't be read as JSON lines: Expecting"),
        ("[]", "can't be read as JSON lines"),
        ('{"summary": "a"}\n{"text": "a"}', "row 2 of "),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_not_rows_is_named(example, tmp_path, content, said):
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArgumentTypeError, match=said):
        example("rows").rows_in("", "text", "summary")(str(path))


def test_numbers_are_above_zero(example, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        example("summaries").main(["--steps", "0"])
    assert "0 is not a whole number above 0" in capsys.readouterr().err
