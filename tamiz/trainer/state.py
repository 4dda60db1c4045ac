"""The state of a training's model and optimizer, in and out of a checkpoint. A checkpoint holds whole tensors, so it
continues on any number of processes, and only the first process needs to see its file."""

from __future__ import annotations

from typing import Any

import torch

from corpora.randomness import digest
from tamiz.trainer.parallel import Parallel, broadcast
from tamiz.trainer.ranks import Ranks


def whole(parallel: Parallel, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """`model` and `optimizer` in whole tensors, in the first process; None in the others, which help to gather."""
    return {"model": parallel.whole_model(), "optimizer": parallel.whole_optimizer(optimizer)}


def restore(parallel: Parallel, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Puts `model` and `optimizer` of a state into place. state: that of the first process, from its checkpoint, told
    by `told`; tensors travel one by one, and each process keeps its part."""
    travelling = _Travelling(parallel)
    own = parallel.model.state_dict()
    with torch.no_grad():
        for name, tensor in state["model"].items():
            travelling.part(tensor, own[name], into=own[name])
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    saved = state["optimizer"]
    # rates and kernels (fused on a GPU) are those of this training on this device, not those of the checkpoint
    own_groups = optimizer.state_dict()["param_groups"]
    groups = [{**own, "params": old["params"]} for own, old in zip(own_groups, saved["param_groups"], strict=True)]
    kept = {
        number: {
            name: travelling.part(value, parameters[number]) if _is_tensor(value) else value
            for name, value in values.items()
        }
        for number, values in saved["state"].items()
    }
    optimizer.load_state_dict({"state": kept, "param_groups": groups})


def random_state(device: torch.device) -> dict[str, Any]:
    """The state of torch's generators, for `restore_random`."""
    on_gpu = torch.cuda.get_rng_state() if device.type == "cuda" else None
    return {"random": torch.get_rng_state(), "random_cuda": on_gpu}


def restore_random(state: dict[str, Any], device: torch.device, seed: int) -> None:
    """Of a checkpoint of a CPU, a GPU has no state: its generator begins anew, from the seed and the step."""
    torch.set_rng_state(state["random"])
    if device.type != "cuda":
        return
    if state.get("random_cuda") is not None:
        torch.cuda.set_rng_state(state["random_cuda"])
    else:
        torch.cuda.manual_seed(digest(seed, "step", state["step"]) % 2**63)


def told(ranks: Ranks, state: dict[str, Any] | None) -> dict[str, Any] | None:
    """The first process's state, in all processes; in the others, tensors have shapes and types but no content."""
    if ranks.alone:
        return state
    outline = ranks.told({"state": _outline(state)} if ranks.first else None)["state"]
    return state if ranks.first else outline


class _Travelling:
    """Hands tensors of the first process to all, one by one."""

    def __init__(self, parallel: Parallel) -> None:
        self._parallel, self._ranks = parallel, parallel.ranks

    def part(self, tensor: torch.Tensor, like: torch.Tensor, *, into: torch.Tensor | None = None) -> torch.Tensor:
        """This process's part of a tensor, laid out like `like`; copied into `into`, or new."""
        if not self._ranks.alone:
            content = tensor if self._ranks.first else None
            device = like.device if tensor.ndim else torch.device("cpu")  # where AdamW counts its steps
            tensor = broadcast(content, tensor.shape, tensor.dtype, device)
        laid = self._parallel.part(tensor, like)
        if into is not None:
            return into.copy_(laid)
        return laid.clone()  # those of a checkpoint lie in its file


def _outline(value: Any) -> Any:
    """The same structure with tensors on the meta device, which take no bytes."""
    if isinstance(value, torch.Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device="meta")
    if isinstance(value, dict):
        return {key: _outline(inner) for key, inner in value.items()}
    return [_outline(inner) for inner in value] if isinstance(value, list) else value


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
