"""The peer of `benchmarks.train`: transformers' Trainer on the same weights, rows, batches and optimizer settings.

The model is transformers' own, with its own attention (SDPA where it has one), and tamiz's initial weights.
The optimizer is fused AdamW on both sides. The precision is tamiz's: where that is bfloat16, as the Trainer does it,
by autocast; where products of float32 are rounded, by the same switch of torch.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.data import IterableDataset

from benchmarks.train_kernels import Profile
from benchmarks.train_precision import matmul_precision
from benchmarks.train_rows import EOS, PAD
from benchmarks.train_shapes import COMPILED, PLAIN, Block
from benchmarks.train_timing import Stopwatch
from tamiz.trainer.dataset import ShardDataset
from tamiz.trainer.device import uses_bfloat16
from tamiz.trainer.families import ModelSettings
from tamiz.trainer.settings import TrainSettings

IGNORED = -100  # transformers' label of what isn't predicted


def peer_model(family: ModelSettings, seed: int, attention: str = "sdpa") -> Any:
    """A model of transformers with the weights that tamiz begins with."""
    built = family.build(seed=seed, pad_id=PAD, eos_id=EOS, bos_id=None)
    kind = getattr(transformers, family.auto_class)
    config = copy.deepcopy(built.config)
    supported = type(built)._supports_sdpa  # GPT-J has none
    made = kind.from_config(config, attn_implementation=attention if supported else "eager")
    weights = built.state_dict()
    if built.get_output_embeddings().weight is not built.get_input_embeddings().weight:
        # transformers 5 ties the layers of a new T5 whatever its config says
        made.get_output_embeddings().weight = torch.nn.Parameter(torch.empty_like(weights["lm_head.weight"]))
    made.load_state_dict(weights)
    return made


class Rows(IterableDataset[dict[str, torch.Tensor]]):
    """The rows of the first steps of a training, in its order, as transformers' models take them."""

    def __init__(self, shards: Path, block: Block, family: ModelSettings, settings: TrainSettings) -> None:
        self._data = ShardDataset(
            shards, batch_size=block.batch, seed=settings.seed, with_documents=family.reads_documents
        )
        self._steps, self._several = settings.steps, block.shape.documents > 1

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for step in range(self._steps):
            batch = self._data.batch(step // self._data.steps_per_epoch, step % self._data.steps_per_epoch)
            for number in range(len(batch["input_ids"])):
                yield self._row({name: tensor[number] for name, tensor in batch.items()})

    def _row(self, row: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """With several documents: positions that begin again, from which transformers masks the others, and no
        prediction of a document's first id."""
        ids = row["input_ids"]
        if "labels" in row:
            return {"input_ids": ids, "labels": row["labels"]}
        if not self._several:
            return {"input_ids": ids, "labels": ids}
        documents = row["document_ids"]
        begins = torch.ones_like(documents, dtype=torch.bool)
        begins[1:] = documents[1:] != documents[:-1]
        places = torch.arange(len(ids))
        positions = places - torch.where(begins, places, 0).cummax(0).values
        return {"input_ids": ids, "labels": ids.masked_fill(begins, IGNORED), "position_ids": positions}


class _Ended(transformers.TrainerCallback):
    """Tells when a step has ended, and its loss if the trainer logs it."""

    def __init__(self, watch: Stopwatch, profiled: Profile) -> None:
        self._watch, self._profiled = watch, profiled

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._watch.step()
        self._profiled.step()

    def on_log(self, _arguments: Any, _state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs:
            self._watch.losses.append(logs["loss"])


def with_transformers(
    block: Block,
    family: ModelSettings,
    settings: TrainSettings,
    shards: Path,
    ended: tuple[Stopwatch, Profile],
    device: torch.device,
) -> None:
    """Trains with transformers' Trainer."""
    plain = block.who == PLAIN
    torch.set_num_threads(settings.num_threads)
    torch.set_float32_matmul_precision("highest" if plain else matmul_precision(settings, device))
    torch.manual_seed(settings.seed)
    model = peer_model(family, settings.seed, "eager" if plain else "sdpa")
    bfloat16 = uses_bfloat16(settings, device) and not plain
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder, max_steps=settings.steps, per_device_train_batch_size=block.micro,
            gradient_accumulation_steps=block.batch // block.micro, learning_rate=settings.learning_rate,
            lr_scheduler_type="constant", weight_decay=settings.weight_decay, adam_beta1=settings.betas[0],
            adam_beta2=settings.betas[1], adam_epsilon=settings.epsilon, max_grad_norm=settings.clip_norm,
            optim="adamw_torch_fused", bf16=bfloat16, use_cpu=device.type == "cpu",
            torch_compile=block.who == COMPILED, report_to=[], save_strategy="no", disable_tqdm=True,
            logging_strategy="steps" if block.losses else "no", logging_steps=1, remove_unused_columns=False,
            seed=settings.seed,
        )  # fmt: skip
        rows = Rows(shards, block, family, settings)
        trainer = transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[_Ended(*ended)])
        if model.config.is_encoder_decoder:
            # else it takes T5's loss, a mean over the rows of a forward pass, for one over the whole batch, and adds
            # them up: gradients would be too large by the number of passes
            trainer.model_accepts_loss_kwargs = False
        trainer.train()
