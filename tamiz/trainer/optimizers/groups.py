"""Which parameters weight decay applies to, by the types of modules and the shapes of parameters, never by names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamiz.trainer.optimizers.base import Groups

if TYPE_CHECKING:
    import torch

    from tamiz.trainer.families.base import ModelSettings


def parameter_groups(model: torch.nn.Module, family: ModelSettings, weight_decay: float) -> Groups:
    """Two groups, of parameters that decay and that don't, each in the model's order. A parameter that several
    modules share is in one group, once: as the first of them has it. Frozen parameters are in none."""
    decayed: list[torch.Tensor] = []
    kept: list[torch.Tensor] = []
    for parameter, module in _owners(model):
        if parameter.requires_grad:
            (decayed if family.decays(model, module, parameter) else kept).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]


def _owners(model: torch.nn.Module) -> list[tuple[torch.Tensor, torch.nn.Module]]:
    """Each parameter once, with the first module that has it, in the order of `parameters()`."""
    found: dict[int, tuple[torch.Tensor, torch.nn.Module]] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            found.setdefault(id(parameter), (parameter, module))
    return list(found.values())
