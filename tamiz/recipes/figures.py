"""What follows from a recipe: the number of parameters, tokens, and FLOPs of the training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tamiz.recipes.schema import Recipe
from tamiz.trainer.cost import cost

if TYPE_CHECKING:
    from corpora.tokens.facts import ShardFacts


@dataclass(frozen=True)
class Figures:
    """What follows from [model], [shards] and [train].

    parameters         exact: tied parameters count once
    embedding          those of the input embedding
    inputs, targets    ids of a row: those that an encoder, or a causal model, reads; those of a decoder, or 0
    rows               rows of a step
    steps              steps of the training
    flops              formula -> floating-point operations of training on a row, forward and backward
    """

    parameters: int
    embedding: int
    inputs: int
    targets: int
    rows: int
    steps: int
    flops: dict[str, int]

    @property
    def tokens_per_row(self) -> int:
        return self.inputs + self.targets

    @property
    def tokens_per_step(self) -> int:
        return self.rows * self.tokens_per_row

    @property
    def tokens(self) -> int:
        return self.steps * self.tokens_per_step

    def asdict(self) -> dict[str, Any]:
        """Plain data for JSON; FLOPs are those of the whole training."""
        names = ("parameters", "embedding", "inputs", "targets", "rows", "steps", "tokens_per_step", "tokens")
        whole = {formula: row * self.rows * self.steps for formula, row in self.flops.items()}
        return {**{name: getattr(self, name) for name in names}, "flops": whole}


def figures(recipe: Recipe) -> Figures | None:
    """None if the recipe trains no model, or torch and transformers aren't installed. Allocates no weights."""
    if recipe.model is None or missing_packages():
        return None
    facts = _planned(recipe)
    targets = facts.label_length or 0
    inputs = recipe.model.ids_per_row(facts) - targets
    found = cost(recipe.model, inputs, targets)
    return Figures(
        parameters=found.parameters,
        embedding=found.embedding,
        inputs=inputs,
        targets=targets,
        rows=recipe.train.batch_size,
        steps=recipe.train.steps,
        flops=found.flops,
    )


def missing_packages() -> list[str]:
    """Packages that counting parameters needs."""
    return [name for name in ("torch", "transformers") if find_spec(name) is None]


def _planned(recipe: Recipe) -> ShardFacts:
    """Facts of the rows that the model will read."""
    from corpora.rows.fresh_noise import corrupted_facts
    from corpora.tokens.facts import SentinelIds, ShardFacts

    ids = recipe.model.vocab_size
    planned = ShardFacts(
        tokenizer_sha256="",
        vocab_size=ids,
        objective=recipe.shards.objective,
        sequence_length=recipe.shards.sequence_length,
        pad_id=0,
        eos_id=1,
        sentinel_ids=SentinelIds(first=ids - 1, step=-1, count=ids),
        rows={},
        label_length=recipe.shards.facts()["label_length"],
    )
    noise = recipe.train.span_corruption
    return planned if noise is None else corrupted_facts(planned, noise)


def lines(found: Figures) -> Iterator[tuple[str, str]]:
    """(name, what it is): for people. Names are those that [published] uses."""
    body = found.parameters - found.embedding
    yield "parameters", f"{found.parameters:,} ({found.embedding:,} in the input embedding, {body:,} besides)"
    row = f"({found.inputs:,} + {found.targets:,})" if found.targets else f"{found.inputs:,}"
    yield "tokens_per_step", f"{found.rows:,} rows x {row} = {found.tokens_per_step:,}"
    yield "tokens", f"{found.steps:,} steps = {found.tokens:,}"
    for formula, of_row in found.flops.items():
        whole = of_row * found.rows * found.steps
        yield f"FLOPs by {formula}", f"{of_row / found.tokens_per_row:.4g} a token, {whole:.3g} in all"
