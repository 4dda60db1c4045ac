"""Causal rows corrupted anew in each epoch: nothing lost, nothing repeated, nothing that depends on ranks."""

from __future__ import annotations

import itertools
import re
from functools import partial

import msgspec
import numpy as np
import pytest
import torch

from corpora.errors import BadArgument, StaleOutput
from corpora.tokens.denoisers import SpanCorruptionSettings
from corpora.tokens.span_corruption import row_shape
from tamiz.cards.model import CardFacts, model_card
from tamiz.trainer import ShardDataset
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer, row_numbers

pytestmark = pytest.mark.usefixtures("quick_plots")

SHAPE = row_shape(20)  # 21 ids, 3 of them noise, in one span
NOISE = SpanCorruptionSettings()
FIRST_SENTINEL = VOCAB_SIZE - 1


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("causal") / "s"
    rows = {"train": 60, "validation": 9}
    return make_shards(folder, objective="causal", rows=rows, widths=(SHAPE.raw_length, 0), window_groups=3)


def reassembled(input_ids, labels):
    """The raw row, from a corrupted one: each sentinel of the inputs stands for what follows it in the labels."""
    spans, found = {}, []
    for token in labels[:-1]:
        if token > FIRST_SENTINEL - 4:
            spans[token] = current = []
        else:
            current.append(token)
    for token in input_ids[:-1]:
        found += spans.pop(token) if token in spans else [token]
    assert not spans
    assert input_ids[-1] == labels[-1] == 1
    return found


def raw_rows(batch):
    return [reassembled(i, t) for i, t in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)]


def corrupted(folder, noise=NOISE, **how):
    return ShardDataset(folder, **({"batch_size": 6} | how), span_corruption=noise)


def take(dataset, count):
    return list(itertools.islice(dataset, count))


@pytest.mark.parametrize("random_roll", [False, True])
def test_inputs_and_labels_reassemble_to_the_rows_of_the_order(causal, random_roll):
    dataset = corrupted(causal, SpanCorruptionSettings(random_roll=random_roll))
    for batch, plain in zip(take(dataset, 25), take(ShardDataset(causal, batch_size=6), 25), strict=True):
        assert batch["input_ids"].shape == (6, 20)
        assert batch["labels"].shape == (6, SHAPE.label_length)
        assert batch["input_ids"].dtype == batch["labels"].dtype == torch.int64
        assert raw_rows(batch) == plain["input_ids"].tolist()


def by_row(dataset, epoch):
    """Inputs of each row of an epoch, by the row's number."""
    found = {}
    for step in range(dataset.steps_per_epoch):
        batch = dataset.batch(epoch, step)
        raw = torch.tensor(raw_rows(batch))
        found |= dict(zip(row_numbers({"input_ids": raw}), map(tuple, batch["input_ids"].tolist()), strict=True))
    return found


def test_noise_differs_by_epoch_and_seed_and_by_row(causal):
    noise = SpanCorruptionSettings(random_roll=True)
    first, again, second, other = (
        by_row(corrupted(causal, noise, seed=seed), epoch) for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert first == again
    assert set(first) == set(second) == set(other) == set(range(60))
    for differing in (second, other):
        assert sum(first[row] == differing[row] for row in first) < 20  # a span of 3 in 21 has 19 places
    places = {row.index(FIRST_SENTINEL) for row in first.values()}
    assert len(places) > 10


@pytest.mark.parametrize(("batch_size", "world_size"), [(6, 2), (6, 3), (4, 4), (60, 1), (1, 1)])
def test_neither_batches_nor_ranks_change_a_rows_noise(causal, batch_size, world_size):
    expected = [row for batch in take(corrupted(causal, batch_size=1), 60) for row in batch["input_ids"].tolist()]
    ranks = [
        take(corrupted(causal, batch_size=batch_size, rank=r, world_size=world_size), 60 // batch_size)
        for r in range(world_size)
    ]
    whole = np.empty((60, 20), int)
    for rank, batches in enumerate(ranks):
        for step, batch in enumerate(batches):
            whole[step * batch_size + rank : (step + 1) * batch_size : world_size] = batch["input_ids"]
    assert whole.tolist() == expected


def test_resuming_gives_the_same_noise_and_refuses_other(causal):
    dataset = corrupted(causal)
    take(dataset, 7)
    state, expected = dataset.state_dict(), take(dataset, 9)
    resumed = corrupted(causal)
    resumed.load_state_dict(state)
    for one, other in zip(expected, take(resumed, 9), strict=True):
        assert torch.equal(one["input_ids"], other["input_ids"])
        assert torch.equal(one["labels"], other["labels"])
    with pytest.raises(StaleOutput, match=r"span_corruption: .*0\.15.* -> None"):
        ShardDataset(causal, batch_size=6).load_state_dict(state)


def test_facts_are_those_of_corrupted_rows(causal):
    facts = corrupted(causal).facts
    assert (facts.objective, facts.sequence_length, facts.label_length) == ("span-corruption", 20, SHAPE.label_length)
    assert facts.target_unigram_entropy_nats is None


def test_what_does_not_fit_is_named(tmp_path, causal):
    wide = make_shards(tmp_path / "wide", objective="causal", widths=(2043, 0))
    with pytest.raises(
        BadArgument, match=r"rows of 2043 ids don't match .*--sequence-length (\d+) or (\d+)"
    ) as raised:
        corrupted(wide)
    *_, lower, upper = (int(word) for word in re.findall(r"\b\d+\b", str(raised.value)))
    lengths = {row_shape(n).raw_length for n in range(1700, 2100)}
    assert max(n for n in lengths if n < 2043) == lower
    assert min(n for n in lengths if n > 2043) == upper
    many = make_shards(tmp_path / "many", objective="causal", widths=(row_shape(100).raw_length, 0))
    with pytest.raises(
        BadArgument, match="would have 5 noise spans, but the tokenizer of these shards has 4 sentinels"
    ):
        corrupted(many)
    old = make_shards(tmp_path / "old", objective="causal", widths=(SHAPE.raw_length, 0), sentinel_ids=None)
    with pytest.raises(BadArgument, match="record no sentinels"):
        corrupted(old)
    short = make_shards(
        tmp_path / "short", objective="causal", widths=(SHAPE.raw_length, 0), scalars={"num_tokens": 3}
    )
    with pytest.raises(BadArgument, match=r"needs full rows.*--packing concatenate"):
        corrupted(short)
    with pytest.raises(BadArgument, match="these hold span-corruption rows"):
        corrupted(make_shards(tmp_path / "done"))
    with pytest.raises(BadArgument, match="change the noise"):
        corrupted(causal, SpanCorruptionSettings(noise_density=0.001))


@pytest.mark.parametrize("width", [3, 10, 21, 36, 568, 2043])
@pytest.mark.parametrize("density", [0.15, 0.5])
def test_a_width_fits_where_some_length_takes_it_and_only_there(tmp_path, width, density):
    made = make_shards(
        tmp_path / "s", objective="causal", widths=(width, 0), vocab_size=2000,
        sentinel_ids={"first": 1999, "step": -1, "count": 900},
    )  # fmt: skip
    noise = SpanCorruptionSettings(noise_density=density)
    raw = {}
    for length in range(2, width + 3):
        try:
            raw.setdefault(row_shape(length, density).raw_length, length)
        except ValueError:
            continue
    if width in raw:
        assert corrupted(made, noise).facts.sequence_length == raw[width]
    else:
        with pytest.raises(BadArgument, match=f"rows of {width} ids"):
            corrupted(made, noise)


def test_a_t5_is_trained_from_causal_shards(tmp_path):
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    shards = make_shards(tmp_path / "s", objective="causal", widths=(SHAPE.raw_length, 0), tokenizer=tokenizer)
    model = T5(vocab_size=VOCAB_SIZE, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1)
    settings = TrainSettings(num_threads=1, steps=6, batch_size=5, validate_every=3, checkpoint_every=2)
    with pytest.raises(BadArgument, match=r"holds causal rows.*or set train\.span_corruption"):
        train(shards, tokenizer, tmp_path / "a", model, settings, report=lambda _: None)
    fresh = msgspec.structs.replace(settings, span_corruption=NOISE)
    metrics = train(
        shards,
        tokenizer,
        tmp_path / "m",
        model,
        fresh,
        card=partial(model_card, facts=CardFacts()),
        report=lambda _: None,
    )
    assert metrics["tokens"] == 6 * 5 * (20 + SHAPE.label_length)
    assert metrics["validation_loss"] < metrics["initial_validation_loss"]
    assert "| objective | span-corruption |" in (tmp_path / "m/README.md").read_text()
