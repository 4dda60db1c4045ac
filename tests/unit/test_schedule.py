"""The learning rate, against T5's formula."""

from __future__ import annotations

import math

import msgspec
import pytest

from tamiz.trainer.families.t5 import T5
from tamiz.trainer.schedule import ENDLESS, is_endless, learning_rate, rising_line
from tamiz.trainer.settings import TrainSettings


def rates(steps, **settings):
    chosen = TrainSettings(steps=1000, learning_rate=0.01, **settings)
    return [learning_rate(step, chosen) for step in steps]


def test_inverse_sqrt_is_t5s_scaled_to_its_highest():
    steps = [1, 50, 100, 101, 400, 10_000]
    expected = [0.01 * math.sqrt(100) / math.sqrt(max(step, 100)) for step in steps]
    assert rates(steps, warmup_steps=100) == pytest.approx(expected, rel=1e-12)
    assert rates([1, 100, 400], warmup_steps=100) == [0.01, 0.01, 0.005]


def test_no_warmup_falls_from_the_first_step():
    assert rates([1, 4], warmup_steps=0) == [0.01, 0.005]


def test_constant_stays():
    assert rates([1, 999], schedule="constant", warmup_steps=5) == [0.01, 0.01]


def test_the_ramp_grows_linearly_and_then_is_no_more():
    assert rates([1, 5, 10, 11, 40], warmup_steps=10, ramp_steps=10) == pytest.approx(
        [0.001, 0.005, 0.01, 0.01 * math.sqrt(10 / 11), 0.005], rel=1e-12
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"batch_size": 4, "micro_batch_size": 5}, r"micro_batch_size is 5; it must be from 1 to batch_size \(4\)"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"clip_norm": math.inf}, "clip_norm is inf"),
        ({"weight_decay": 1.0}, "weight_decay is 1.0"),
        ({"betas": (0.9, 1.0)}, "betas is"),
        ({"validate_every": -1}, "validate_every is -1"),
    ],
)
def test_train_settings_out_of_bounds_name_value_and_bound(settings, said):
    with pytest.raises(msgspec.ValidationError, match=said.replace("betas is", "betas are")):
        msgspec.convert({"steps": 1, **settings}, TrainSettings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"d_model": 0}, "d_model is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"vocab_size": 2}, "vocab_size is 2"),
        ({"relative_attention_max_distance": 16}, "relative_attention_max_distance is 16"),
    ],
)
def test_model_settings_out_of_bounds_name_value_and_bound(settings, said):
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert({"vocab_size": 100, **settings}, T5)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedules_that_end_fall_from_their_highest_to_nearly_nothing(schedule):
    chosen = TrainSettings(steps=9, learning_rate=0.01, schedule=schedule, warmup_steps=2)
    found = [learning_rate(step, chosen) for step in range(1, 11)]
    left = [1.0, 1.0, *((10 - step) / 8 for step in range(3, 11))]
    expected = left if schedule == "linear" else [0.5 - 0.5 * math.cos(math.pi * share) for share in left]
    assert found == pytest.approx([0.01 * share for share in expected], abs=1e-12)
    assert found[-1] == 0.0  # the step after the last


def test_a_step_of_an_endless_schedule_has_one_rate_however_many_follow():
    for schedule in ENDLESS:
        few, many = (TrainSettings(steps=steps, schedule=schedule) for steps in (200, 9000))
        assert [learning_rate(step, few) for step in range(1, 200)] == [learning_rate(s, many) for s in range(1, 200)]


def test_cosine_with_a_ramp_is_transformers_own_a_step_later():
    """TeenyTinyLlama's: its scheduler's step 0 has the rate 0, so that ours is that of one step more."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=6e-4)
    theirs = get_cosine_schedule_with_warmup(optimizer, 20, 101).lr_lambdas[0]
    chosen = TrainSettings(steps=100, learning_rate=6e-4, schedule="cosine", warmup_steps=20, ramp_steps=20)
    found = [learning_rate(step, chosen) for step in range(1, 101)]
    assert found == pytest.approx([6e-4 * theirs(step) for step in range(1, 101)], rel=1e-9)


def test_nanot5s_schedule_is_torchs_sequence_a_step_later():
    """From half of the rate up, then down to a final one: LinearLR(0.5), then CosineAnnealingLR."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-2)
    parts = [
        torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, end_factor=1, total_iters=10),
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50 - 10, eta_min=1e-5),
    ]
    theirs = torch.optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[10])
    expected = []
    for _ in range(50):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    chosen = TrainSettings(
        steps=49, learning_rate=2e-2, schedule="cosine", warmup_steps=10, ramp_steps=10, ramp_from=0.5,
        final_learning_rate=1e-5,
    )  # fmt: skip
    assert [learning_rate(step, chosen) for step in range(1, 50)] == pytest.approx(expected[1:], rel=1e-6)


def test_a_final_rate_is_reached_and_kept_after_the_schedules_own_length():
    """GPT-J's: from 1.2e-4 down to 1.2e-5."""
    chosen = TrainSettings(
        steps=500, learning_rate=1.2e-4, schedule="cosine", warmup_steps=10, final_learning_rate=1.2e-5,
        schedule_steps=100,
    )  # fmt: skip
    found = [learning_rate(step, chosen) for step in (10, 100, 101, 102, 500)]
    assert found[0] == 1.2e-4
    assert 1.2e-5 < found[1] < 1.21e-5
    assert found[2:] == [1.2e-5] * 3
    halfway = learning_rate(10 + 91 // 2 + 1, chosen)
    assert halfway == pytest.approx((1.2e-4 + 1.2e-5) / 2, rel=0.02)


def test_a_schedule_with_a_length_of_its_own_is_endless():
    few, many = (
        TrainSettings(steps=steps, schedule="linear", warmup_steps=5, schedule_steps=300) for steps in (50, 200)
    )
    assert [learning_rate(s, few) for s in range(1, 51)] == [learning_rate(s, many) for s in range(1, 51)]
    assert is_endless(few.identity())
    assert not is_endless(TrainSettings(steps=50, schedule="linear").identity())
    assert is_endless(TrainSettings(steps=50).identity())


@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        ({"ramp_steps": 5000, "warmup_steps": 5000, "schedule": "cosine"}, "0.002"),
        ({"ramp_steps": 1000, "schedule": "constant"}, "0.01"),  # the highest rate is that of the last step alone
        ({"ramp_steps": 4000, "warmup_steps": 100}, "0.000791"),  # inverse_sqrt falls, but less than the ramp rises
        ({"ramp_steps": 2000, "ramp_from": 0.5, "schedule": "linear", "warmup_steps": 2000}, "0.0075"),
    ],
)
def test_a_rate_that_rises_to_the_end_is_told_with_its_numbers(settings, ends):
    said = rising_line(TrainSettings(steps=1000, learning_rate=0.01, **settings))
    assert said is not None
    assert f"train.ramp_steps is {settings['ramp_steps']:,}, and train.steps 1,000; it ends at {ends} of 0.01" in said


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"warmup_steps": 5000},  # stays at its highest
        {"ramp_steps": 999, "warmup_steps": 999},
        {"ramp_steps": 1000, "warmup_steps": 0, "schedule": "linear"},  # falls from half of the steps on
        {"steps": 1, "ramp_steps": 1},
    ],
)
def test_other_rates_are_not(settings):
    assert rising_line(TrainSettings(**{"steps": 1000, "learning_rate": 0.01, **settings})) is None
