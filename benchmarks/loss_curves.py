"""Loss curves of the trainer and of plain torch: `python -m benchmarks.loss_curves [--steps 200]`.

The same model, rows and steps, four times: plain (transformers' own loss of whole logits, AdamW parameter by
parameter, float32), plain with one weight changed in its last bit, the trainer in float32, and the trainer as
`train.precision = auto` has it here. Prints the largest difference from plain, in nats, and the processor time of
each; exit code 1 above the bounds.

Rows are drawn from a fixed chain of ids that a model can learn, so that the curve falls as on text. The float32 paths
round in different places, 6e-8 of a number; training amplifies that by the curvature, step after step: the bound is
0.005 nats. Products of bfloat16 round their factors to 2**-9: the bound is 0.05 nats, and 0.01 for the mean of the
last 50 steps, where what the model has learned shows. Where plain torch differs from itself by more, once one weight
begins with another last bit, three times that is the bound: AdamW makes whole steps of gradients that are nothing but
rounding, and a T5 with a high rate is chaotic.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import torch
from torch.nn import functional

from tamiz.trainer.computing import Computing
from tamiz.trainer.device import matmul_precision, repeatable
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.schedule import learning_rate
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps

BOUND_FLOAT32, BOUND_BFLOAT16, BOUND_END = 0.005, 0.05, 0.01  # nats
IDS, ROWS, RATE = 1000, 8, 1e-3
FAMILIES: dict[str, Any] = {
    "t5": T5(vocab_size=IDS, d_model=128, d_ff=256, d_kv=32, num_heads=4, num_layers=2, num_decoder_layers=2),
    "llama": Llama(
        vocab_size=IDS, hidden_size=128, intermediate_size=256, num_layers=3, num_heads=4, document_masks=False,
        max_position_embeddings=128,
    ),
}  # fmt: skip
Curve = list[float]


def batch(name: str, step: int) -> dict[str, torch.Tensor]:
    """Rows of a chain in which each id is followed by one of four, drawn by the number of the step."""
    chain = torch.randint(3, IDS, (IDS, 4), generator=torch.Generator().manual_seed(0))
    source = torch.Generator().manual_seed(step + 1)
    rows = torch.randint(3, IDS, (ROWS, 1), generator=source)
    for choice in torch.randint(0, 4, (128, ROWS), generator=source):
        rows = torch.cat([rows, chain[rows[:, -1], choice][:, None]], 1)
    if name == "llama":
        return {"input_ids": rows}
    return {"input_ids": rows[:, :97].contiguous(), "labels": rows[:, 96:].contiguous()}


def fast(name: str, settings: TrainSettings) -> Curve:
    """The trainer's steps."""
    family = FAMILIES[name]
    with repeatable(settings):
        steps = Steps(
            family.build(seed=0), family, settings, torch.device("cpu"), micro_rows=4, bfloat16=False, pad_id=0
        )
        return [steps.train(batch(name, n), learning_rate(n, settings)) for n in range(1, settings.steps + 1)]


def plain(name: str, settings: TrainSettings, *, nudged: bool = False) -> Curve:
    """The readable twin, without denormals, too, with which it takes seven times as long. nudged: one weight begins
    with the next larger number."""
    with repeatable(settings):
        return Computing(torch.device("cpu")).run(_plain, name, settings, nudged)


def _plain(name: str, settings: TrainSettings, nudged: bool) -> Curve:
    model = FAMILIES[name].build(seed=0).train()
    if nudged:
        with torch.no_grad():
            first = next(model.parameters()).view(-1)[:1]
            first.copy_(torch.nextafter(first, torch.full_like(first, torch.inf)))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0, foreach=False, fused=False)
    curve = []
    for n in range(1, settings.steps + 1):
        given = batch(name, n)
        if name == "llama":
            logits = model(input_ids=given["input_ids"][:, :-1], use_cache=False).logits
            loss = functional.cross_entropy(logits.flatten(0, 1), given["input_ids"][:, 1:].flatten())
        else:
            loss = model(**given).loss
        optimizer.param_groups[0]["lr"] = learning_rate(n, settings)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        curve.append(loss.item())
    return curve


def timed(curve: Callable[[], Curve]) -> tuple[Curve, float]:
    begun = time.process_time()
    return curve(), time.process_time() - begun


def apart(found: Curve, wanted: Curve) -> tuple[float, float]:
    """The largest difference of two curves, and that of the means of their last 50 steps."""
    last = len(wanted[-50:])
    return (
        max(abs(a - b) for a, b in zip(found, wanted, strict=True)),
        abs(sum(found[-last:]) - sum(wanted[-last:])) / last,
    )


def compare(name: str, steps: int) -> bool:
    """Prints a table for one family; whether it is within the bounds."""
    settings = TrainSettings(steps=steps, batch_size=ROWS, warmup_steps=50, learning_rate=RATE, precision="float32")
    auto = msgspec.structs.replace(settings, precision="auto")
    wanted, seconds = timed(lambda: plain(name, settings))
    print(f"{name}: plain {wanted[0]:.3f} -> {wanted[-1]:.3f} nats in {steps} steps, {seconds:.1f} CPU s", flush=True)
    chaos = apart(plain(name, settings, nudged=True), wanted)
    print(f"{name}: plain, nudged: differs by {chaos[0]:.2e} nats at most, by {chaos[1]:.2e} at the end", flush=True)
    within = True
    for label, chosen in (("float32", settings), ("auto", auto)):
        found, seconds = timed(lambda chosen=chosen: fast(name, chosen))  # type: ignore[misc]
        rounded = matmul_precision(chosen, torch.device("cpu")) == "medium"
        gap, end = apart(found, wanted)
        most, last = (BOUND_BFLOAT16, BOUND_END) if rounded else (BOUND_FLOAT32, BOUND_FLOAT32)
        most, last = max(most, 3 * chaos[0]), max(last, 3 * chaos[1])
        within = within and gap <= most and end <= last
        how = f"{label} (products in bfloat16)" if rounded else label
        print(
            f"{name}: {how}: differs by {gap:.2e} nats at most (bound {most:.3g}), by {end:.2e} in the mean of the "
            f"last 50 (bound {last:.3g}), {seconds:.1f} CPU s",
            flush=True,
        )
    return within


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    within = [compare(name, arguments.steps) for name in FAMILIES]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
