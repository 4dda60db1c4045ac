"""A checkpoint's file, and one that continues on another device."""

from __future__ import annotations

import zipfile

import pytest
import torch

from tamiz.trainer import checkpoint, state
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.parallel import Parallel
from tamiz.trainer.ranks import Ranks

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_its_file_says_nothing_of_how_it_was_written_and_others_are_not_taken_for_it(tmp_path):
    path = checkpoint.save(tmp_path, 3, {"a": torch.ones(2)})
    assert all(name.startswith("archive/") for name in zipfile.ZipFile(path).namelist())
    (path.parent / "step-last.pt").write_bytes(b"x")
    assert checkpoint.found(tmp_path) == [path]


@pytest.fixture
def gpu(monkeypatch):
    """What is done to the generator of a GPU, which need not be here."""
    done = {}
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda value: done.update(state=value))
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda value: done.update(seed=value))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: torch.ones(3, dtype=torch.uint8))
    return done


def test_a_checkpoint_of_a_cpu_continues_on_a_gpu(gpu):
    with torch.random.fork_rng(devices=[]):
        saved = {**state.random_state(CPU), "step": 3}
        drawn = torch.rand(2)
        state.restore_random(saved, GPU, seed=5)
        assert torch.equal(torch.rand(2), drawn)
        first = gpu.pop("seed")
        assert gpu == {}
        for step, seed in ((4, 5), (3, 6)):
            state.restore_random({**saved, "step": step}, GPU, seed=seed)
            assert gpu.pop("seed") != first
        del saved["random_cuda"]
        state.restore_random(saved, GPU, seed=5)
        assert gpu == {"seed": first}


def test_a_checkpoint_of_a_gpu_continues_on_a_cpu_and_on_a_gpu(gpu):
    with torch.random.fork_rng(devices=[]):
        saved = {**state.random_state(GPU), "step": 3}
        state.restore_random(saved, CPU, seed=5)
        assert gpu == {}
        state.restore_random(saved, GPU, seed=5)
        assert gpu["state"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("before", "after"), [(None, True), (True, None)])
def test_the_optimizers_kernels_are_chosen_where_it_runs(before, after):
    family = Llama(vocab_size=8, hidden_size=4, intermediate_size=4, num_layers=1, num_heads=1)

    def trained(fused):
        model = family.build(seed=0)
        own = torch.optim.AdamW(model.parameters(), lr=0.1, betas=(0.5, 0.6), fused=fused)
        family.logits(model, {"input_ids": torch.arange(6)[None]}).sum().backward()
        own.step()
        return Parallel(model, family, Ranks(), CPU), own

    (old, its), (new, own) = trained(before), trained(after)
    its.step()
    state.restore(new, own, state.whole(old, its))
    assert own.param_groups[0]["fused"] is after
    assert [float(s["step"]) for s in own.state.values()] == [2.0] * len(own.state)
    for one in (its, own):
        one.step()
    for a, b in zip(old.model.parameters(), new.model.parameters(), strict=True):
        torch.testing.assert_close(a, b)
