"""What the demo says at its end is true: what is smaller, and whether the loss is below that of frequencies."""

from __future__ import annotations

import pytest

from tamiz.demo import learned, reduced
from tamiz.recipes.load import load

T5 = "t5-spanish-efficient-tiny"


def test_it_says_whether_the_loss_is_below_that_of_frequencies():
    assert "5.100 nats; entropy of the training targets' unigrams: 5.200 (below" in learned(5.1, 5.2)[0]
    assert "(not below" in learned(5.3, 5.2)[0]
    assert "counted on the training rows" in learned(5.3, 5.2)[1]


@pytest.mark.parametrize(("loss", "entropy"), [(None, 5.2), (5.1, None)])
def test_it_compares_nothing_if_one_is_unknown(loss, entropy):
    assert learned(loss, entropy) == []


def test_it_names_every_size_that_differs():
    demo = load(T5, demo=True, overrides=["train.steps=7"])
    said = reduced(demo, load(T5))
    assert said.endswith(", train.steps 65,536 -> 7")
    assert said.startswith("tokenizer.vocab_size 5,000 -> ")
    assert ", model.vocab_size 5,000 -> " in said
    assert "num_heads" not in said or demo.model.num_heads != load(T5).model.num_heads
    assert reduced(demo, demo) == ""
