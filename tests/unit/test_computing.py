"""Trainings compute without denormal numbers, whatever this process computed before."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch

from tamiz.trainer.computing import Computing
from tests.unit.test_fast_steps import batch, steps

TINY = torch.full((1 << 20,), 1e-39)  # enough for every helper of torch to have a part
FLUSHES = torch.set_flush_denormal(False)  # says whether it can
pytestmark = pytest.mark.skipif(not FLUSHES, reason="this CPU can't flush denormals")


def denormals():
    return int((TINY * 1).count_nonzero())


def test_denormals_are_0_in_it_and_nowhere_else():
    """Also where helpers of torch were at work before, and where they came from another training."""
    assert denormals() == len(TINY)
    for _ in range(2):
        assert Computing(torch.device("cpu")).run(denormals) == 0
        assert denormals() == len(TINY)


def test_other_devices_compute_in_the_callers_thread():
    assert Computing(torch.device("meta")).run(threading.current_thread) is threading.current_thread()


def test_it_uses_as_many_helpers_as_the_settings_say():
    before = torch.get_num_threads()
    try:
        for threads in (3, 1, 2):
            torch.set_num_threads(threads)
            assert Computing(torch.device("cpu")).run(torch.get_num_threads) == threads
    finally:
        torch.set_num_threads(before)


def test_what_work_raises_is_raised():
    computing = Computing(torch.device("cpu"))
    with pytest.raises(ValueError, match="of the work"):
        computing.run(lambda: _raise(ValueError("of the work")))
    assert computing.run(lambda: computing.check()) is None


def test_work_that_nobody_waits_for_ends_at_its_next_check():
    computing, ended = Computing(torch.device("cpu")), []

    def work():
        begun = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)
        try:
            while time.monotonic() < begun + 30:
                computing.check()
                time.sleep(0.01)
        finally:
            ended.append(time.monotonic() - begun)

    for _ in range(20):  # the signal comes at another place each time
        with pytest.raises(KeyboardInterrupt):
            computing.run(work)
        assert ended.pop() < 20
    assert computing.run(lambda: 1) == 1


def test_its_thread_ends_with_it():
    computing = Computing(torch.device("cpu"))
    thread = computing.run(threading.current_thread)
    assert thread.is_alive()
    del computing
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("name", ["t5", "llama", "gptj"])
def test_every_pass_of_a_training_is_computed_in_it(name):
    """Forward and backward, of a step, of a trial and of validation; and the optimizer's update."""
    assert denormals() == len(TINY)
    chosen, found = steps(name), set()
    for module in chosen.model.modules():
        module.register_forward_hook(lambda *_: found.add(("forward", denormals())))
    next(chosen.model.parameters()).register_hook(lambda _gradient: found.add(("backward", denormals())))
    chosen.optimizer.register_step_post_hook(lambda *_: found.add(("update", denormals())))
    chosen.train(batch(name), 1e-3)
    assert found == {("forward", 0), ("backward", 0), ("update", 0)}
    found.clear()
    chosen.attempt(batch(name), 4)
    assert found == {("forward", 0), ("backward", 0)}
    found.clear()
    chosen.validate([batch(name)])
    assert found == {("forward", 0)}


@pytest.mark.parametrize("ask", ["train", "validate"])
def test_a_step_and_a_validation_end_at_their_next_part_if_nobody_waits(ask):
    """After a second ^C, not after all of them."""
    chosen, passes = steps("llama", micro_rows=1), []

    def interrupt(*_):
        passes.append(1)
        if len(passes) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)  # until the main thread has heard of it

    chosen.model.register_forward_hook(interrupt)
    next(m for m in chosen.model.modules() if isinstance(m, torch.nn.Embedding)).register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        chosen.train(batch("llama"), 1e-3) if ask == "train" else chosen.validate([batch("llama", rows=1)] * 8)
    assert len(passes) <= 2


def _raise(error):
    raise error
