"""The sizes of `benchmarks.sieve`, chosen once, by what fits the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.sieve_noise import SHARES

# name -> flags of `tamiz sample`; CLEAN_ONLY isn't a sampler, but what a perfect sieve could do
SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "random": ("--method", "random"),
    "gaussian 9/2": ("--method", "gaussian", "--width", "bertin"),
    "gaussian 2/9": ("--method", "gaussian", "--width", "bertin-early"),
    "stepwise": ("--method", "stepwise"),
    "head": ("--method", "buckets", "--keep-buckets", "head"),
}
CLEAN_ONLY = "clean only"


@dataclass(frozen=True)
class Size:
    """How large everything is. documents: read of each file; None: all.

    keep: the share of the pool's documents in each sample (BERTIN: an eighth). held_out_share: of documents, by the
    key of their texts; the shards' validation_fraction. threads: of torch, for each training.
    """

    name: str
    pool_files: int
    held_out_files: int
    lm_files: int
    documents: int | None
    lm_pieces: int
    vocab_size: int
    hidden_size: int
    num_layers: int
    sequence_length: int
    batch_size: int
    steps: int
    validate_every: int
    seeds: int
    keep: float = 0.125
    held_out_share: float = 0.01
    threads: int = 1

    def asdict(self) -> dict[str, Any]:
        return {**asdict(self), "noise": dict(SHARES)}

    def recipe(self, seed: int) -> str:
        """What `tamiz train --model` reads. A rate that doesn't depend on the number of steps: each point of a curve
        is the end of a shorter training."""
        return f"""[model]
family = "llama"
hidden_size = {self.hidden_size}
intermediate_size = {3 * self.hidden_size}
num_layers = {self.num_layers}
num_heads = {max(1, self.hidden_size // 32)}
vocab_size = {self.vocab_size}
max_position_embeddings = {self.sequence_length}
tie_embeddings = true
document_masks = false

[train]
steps = {self.steps}
batch_size = {self.batch_size}
learning_rate = 3e-3
ramp_steps = {min(50, self.steps // 2)}
warmup_steps = 100
betas = [0.9, 0.95]
weight_decay = 0.1
validate_every = {self.validate_every}
validation_batches = 1000000
checkpoint_every = {self.validate_every}
keep_checkpoint = false
num_threads = {self.threads}
seed = {seed}
"""


SIZES = {
    size.name: size
    for size in (
        Size(name="tiny", pool_files=1, held_out_files=1, lm_files=1, documents=400, lm_pieces=300, vocab_size=400,
             hidden_size=32, num_layers=1, sequence_length=32, batch_size=8, steps=4, validate_every=2, seeds=1,
             keep=0.25, held_out_share=0.05),
        Size(name="cpu", pool_files=6, held_out_files=2, lm_files=2, documents=None, lm_pieces=8000, vocab_size=4000,
             hidden_size=128, num_layers=4, sequence_length=128, batch_size=64, steps=120, validate_every=15,
             seeds=3),
        Size(name="gpu", pool_files=12, held_out_files=2, lm_files=2, documents=None, lm_pieces=8000, vocab_size=8000,
             hidden_size=384, num_layers=8, sequence_length=256, batch_size=64, steps=600, validate_every=50,
             seeds=5, keep=0.25, threads=2),
    )
}  # fmt: skip
