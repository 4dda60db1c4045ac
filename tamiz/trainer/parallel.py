"""How a model lies on the processes of a training: whole in one, whole in each (DDP), or a part in each (FSDP2).

All of them sum gradients over the rows of all processes, and give and take whole tensors, so that a checkpoint
doesn't depend on the number of processes.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import distributed

from tamiz.trainer.copies import Copies
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.ranks import Ranks

Rows = dict[str, torch.Tensor]
NAMES = ("ddp", "fsdp")


class Parallel:
    """The whole model in one process; the base of the others.

    model: the family's model, whose parameters the optimizer takes.
    """

    can_copy = True
    """Whether forward and backward can run on bfloat16 copies of the weights."""

    def __init__(self, model: Any, family: ModelSettings, ranks: Ranks, device: torch.device) -> None:
        self.model, self.ranks, self._family, self._device = model, ranks, family, device
        self._copies: Copies | None = None

    def use_copies(self) -> None:
        """From now on, forward and backward run on bfloat16 copies of the weights."""
        self._copies = Copies(self.model)

    @property
    def used(self) -> Any:
        """The model whose forward pass runs: `model`, or its copy."""
        return self.model if self._copies is None else self._copies.model

    def refresh(self) -> None:
        """Call before the first forward pass after weights have changed."""
        if self._copies is not None:
            self._copies.refresh()

    def loss(self, rows: Rows, *more: float) -> torch.Tensor:
        """The family's loss, in nats, summed over the targets of rows of this process. more: its other arguments."""
        return self._family.loss(self.used, rows, *more)

    def divisor(self, targets: float) -> float:
        """What this process divides its summed loss by, so that gradients become those of the mean over all targets
        of all processes."""
        return targets

    def accumulating(self, *, last: bool) -> AbstractContextManager[None]:  # noqa: ARG002
        """Around forward and backward of a micro-batch. last: of the last one of its step."""
        return contextlib.nullcontext()

    def clip(self, most: float) -> torch.Tensor:
        """Scales gradients down to a global norm of at most `most`; returns the norm before."""
        return torch.nn.utils.clip_grad_norm_(self.model.parameters(), most)

    # checkpoints

    def whole_model(self) -> dict[str, torch.Tensor] | None:
        """The model's state in whole tensors; None in all processes but the first."""
        state: dict[str, torch.Tensor] = self.model.state_dict()
        return state

    def whole_optimizer(self, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
        """The optimizer's state in whole tensors; None in all processes but the first."""
        return optimizer.state_dict()

    def part(self, whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """The part of a whole tensor that this process keeps: laid out like `like`, if shapes agree."""
        return whole

    def plain(self, new: Callable[[], Any]) -> Any:  # noqa: ARG002
        """The trained model in the first process, as `new` makes it; None in the others."""
        return self.model


class Replicated(Parallel):
    """DDP: each process has the whole model, and its gradients are averaged once a step."""

    can_copy = False  # DDP sums the gradients of the parameters that it runs on; autocast casts them

    def __init__(self, model: Any, family: ModelSettings, ranks: Ranks, device: torch.device) -> None:
        from torch.nn.parallel import DistributedDataParallel

        super().__init__(model, family, ranks, device)
        with warnings.catch_warnings(
            action="ignore", category=FutureWarning
        ):  # newer torch renames broadcast_buffers
            self._losses = DistributedDataParallel(
                _Loss(model, family), broadcast_buffers=False, gradient_as_bucket_view=True
            )

    def loss(self, rows: Rows, *more: float) -> torch.Tensor:
        summed: torch.Tensor = self._losses(rows, *more)
        return summed

    def divisor(self, targets: float) -> float:
        return targets / self.ranks.world_size

    def accumulating(self, *, last: bool) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if last else self._losses.no_sync()

    def whole_model(self) -> dict[str, torch.Tensor] | None:
        return super().whole_model() if self.ranks.first else None

    def whole_optimizer(self, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
        return super().whole_optimizer(optimizer) if self.ranks.first else None

    def plain(self, new: Callable[[], Any]) -> Any:  # noqa: ARG002
        return self.model if self.ranks.first else None


class Sharded(Parallel):
    """FSDP2: each process keeps a part of every weight, gradient and optimizer state; a block is whole only while it
    is used. Gradients are summed after each micro-batch, so that no process keeps whole ones."""

    can_copy = False

    def __init__(self, model: Any, family: ModelSettings, ranks: Ranks, device: torch.device) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        super().__init__(model, family, ranks, device)
        mesh = init_device_mesh(device.type, (ranks.world_size,))
        # torch warns of layers that return views, lest they be changed in place; no family's are
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")
        for block in blocks(model):
            fully_shard(block, mesh=mesh)
        self._losses: Any = fully_shard(_Loss(model, family), mesh=mesh)
        model.to(device)  # what is no parameter

    def loss(self, rows: Rows, *more: float) -> torch.Tensor:
        summed: torch.Tensor = self._losses(rows, *more)
        return summed

    def divisor(self, targets: float) -> float:
        return targets / self.ranks.world_size

    def clip(self, most: float) -> torch.Tensor:
        norm: Any = super().clip(most)
        return norm.full_tensor() if _is_part(norm) else norm

    def whole_model(self) -> dict[str, torch.Tensor] | None:
        """Tied weights are gathered once, and stay tied."""
        state = self.model.state_dict()
        names = {name: id(p) for name, p in self.model.named_parameters(remove_duplicate=False)}
        seen: dict[int, torch.Tensor | None] = {}
        whole = {}
        for name, tensor in state.items():
            key = names.get(name, id(tensor))
            if key not in seen:
                seen[key] = self._gathered(tensor)
            whole[name] = seen[key]
        return whole if self.ranks.first else None  # type: ignore[return-value]

    def whole_optimizer(self, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
        state = optimizer.state_dict()
        whole = {
            number: {name: self._gathered(v) if isinstance(v, torch.Tensor) else v for name, v in values.items()}
            for number, values in state["state"].items()
        }
        return {**state, "state": whole} if self.ranks.first else None

    def part(self, whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        from torch.distributed.tensor import Replicate, distribute_tensor

        if not _is_part(like) or whole.ndim == 0:
            return whole
        placed: Any = like
        places = placed.placements if whole.shape == like.shape else [Replicate()] * placed.device_mesh.ndim
        laid: torch.Tensor = distribute_tensor(whole.to(self._device), placed.device_mesh, places, src_data_rank=None)
        return laid

    def plain(self, new: Callable[[], Any]) -> Any:
        """Filled weight by weight, so that no second whole copy is needed."""
        model = new() if self.ranks.first else None
        targets = dict(model.named_parameters()) if model is not None else {}
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                whole = self._gathered(parameter.detach())
                if whole is not None:
                    targets[name].copy_(whole)
        return model

    def _gathered(self, tensor: Any) -> torch.Tensor | None:
        """The whole tensor on the CPU of the first process; None in the others, which help."""
        whole = tensor.full_tensor() if _is_part(tensor) else tensor
        return whole.cpu() if self.ranks.first else None


class _Loss(torch.nn.Module):
    """A family's loss as a module: whatever it reads of the model, the forward pass of this module covers."""

    def __init__(self, model: Any, family: ModelSettings) -> None:
        super().__init__()
        self.model, self._family = model, family

    def forward(self, rows: Rows, *more: float) -> torch.Tensor:
        return self._family.loss(self.model, rows, *more)


def parallel(name: str, model: Any, family: ModelSettings, ranks: Ranks, device: torch.device) -> Parallel:
    """Lays the model, which is on the CPU, on the devices of the processes. name: ddp or fsdp; alone: neither."""
    if ranks.alone:
        return Parallel(model.to(device), family, ranks, device)
    if name == "fsdp":
        return Sharded(model, family, ranks, device)
    return Replicated(model.to(device), family, ranks, device)


def blocks(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The modules that FSDP gathers one after the other: the items of the outermost lists of modules, which are the
    layers of a transformer."""
    for child in model.children():
        if isinstance(child, torch.nn.ModuleList):
            yield from child
        else:
            yield from blocks(child)


def broadcast(
    tensor: torch.Tensor | None, shape: torch.Size, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """The tensor of the first process, on `device` of every process."""
    whole = torch.empty(shape, dtype=dtype, device=device) if tensor is None else tensor.to(device).contiguous()
    distributed.broadcast(whole, src=0)
    return whole


def _is_part(tensor: Any) -> bool:
    """Whether a tensor is one process's part of a whole one."""
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)
