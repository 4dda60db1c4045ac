"""One step of training and one pass of validation, in nats per target id."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import functional

from corpora.errors import TamizError
from tamiz.trainer.dataset import Batch
from tamiz.trainer.settings import TrainSettings

IGNORED = -100


def optimizer(model: torch.nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW that decays matrices, but neither norms nor biases, T5's biases of relative position included."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in named if p.ndim >= 2 and "relative_attention_bias" not in name]
    kept = [p for name, p in named if p.ndim < 2 or "relative_attention_bias" in name]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon)


def targets(batch: Batch, pad_id: int) -> torch.Tensor:
    """Labels [b, label_length], IGNORED where they are padding."""
    labels = batch["labels"]
    return labels.masked_fill(labels == pad_id, IGNORED)


def summed_loss(model: Any, input_ids: torch.Tensor, labels: torch.Tensor, pad_id: int) -> torch.Tensor:
    """Cross-entropy summed over the targets. input_ids [b, n], labels [b, m]; padding is not seen, nor predicted."""
    decoder_input_ids = model.prepare_decoder_input_ids_from_labels(labels)
    mask = (input_ids != pad_id).long()
    logits = model(
        input_ids=input_ids, attention_mask=mask, decoder_input_ids=decoder_input_ids, use_cache=False
    ).logits
    return functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )


class Steps:
    """Runs a model on batches: forward, backward and update, in micro-batches."""

    def __init__(
        self,
        model: Any,
        settings: TrainSettings,
        device: torch.device,
        *,
        micro_rows: int,
        bfloat16: bool,
        pad_id: int,
    ) -> None:
        self.model, self.settings, self.device, self.pad_id = model, settings, device, pad_id
        self.optimizer = optimizer(model, settings)
        self._micro_rows, self._bfloat16 = micro_rows, bfloat16

    def train(self, batch: Batch, learning_rate: float) -> float:
        """One update; returns the batch's mean loss before it. Raises TamizError where it is not a number."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        labels = targets(batch, self.pad_id)
        count = max(1, int((labels != IGNORED).sum()))
        total = 0.0
        for inputs, wanted in self._micro_batches(batch, labels):
            loss = self._loss(inputs, wanted)
            (loss / count).backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        if not math.isfinite(total) or not torch.isfinite(norm):
            raise TamizError(
                f"the loss is {total / count}, gradient's norm {float(norm)}, at learning rate {learning_rate:.3g}: "
                "lower train.learning_rate, or set train.ramp_steps"
            )
        self.optimizer.step()
        return total / count

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> float:
        """Mean loss over every target of `batches`."""
        self.model.eval()
        total, count = 0.0, 0
        for batch in batches:
            labels = targets(batch, self.pad_id)
            count += int((labels != IGNORED).sum())
            total += sum(self._loss(inputs, wanted).item() for inputs, wanted in self._micro_batches(batch, labels))
        return total / max(1, count)

    def _micro_batches(self, batch: Batch, labels: torch.Tensor) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
        rows = self._micro_rows
        return zip(batch["input_ids"].split(rows), labels.split(rows), strict=True)

    def _loss(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            input_ids, labels = (ids.to(self.device, non_blocking=True) for ids in (input_ids, labels))
            return summed_loss(self.model, input_ids, labels, self.pad_id)
