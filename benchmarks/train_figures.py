"""What `benchmarks.train` found, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.train_formulas import FORMULAS, utilisations
from benchmarks.train_precision import BFLOAT16, FLOAT32, PRODUCTS
from benchmarks.train_shapes import PUBLISHED, TAMIZ, Block

Found = dict[str, Any]
# of losses: a bfloat16 has 8 bits, so each logit is off by some 2**-8 of itself, and errors of many ids cancel out in
# the mean; in float32 only sums in another order differ, by some 1e-7 in each, and five updates make that larger
FARTHEST = {FLOAT32: 1e-4, BFLOAT16: 2**-8, PRODUCTS: 2**-8}


def tokens_per_second(found: Found) -> float:
    """By the median of the timed steps."""
    block = Block.of(found["block"])
    return block.batch * block.shape.tokens / found["timing"]["median"]


def tokens_per_cpu_second(found: Found) -> float:
    """By the processor time of all threads in all timed steps; on a busy machine it says more than the time that
    passed."""
    block = Block.of(found["block"])
    return block.batch * block.shape.tokens * (block.steps - block.warm_up) / found["timing"]["cpu_seconds"]


def checked(block: Block, ours: Found, theirs: Found) -> Found:
    """The losses of the same steps side by side; `problem` if they differ by too much."""
    name = f"{block.shape.name}, {block.shape.documents} documents a row"
    broken = [one["problem"] for one in (ours, theirs) if "problem" in one]
    if broken:
        return {"name": name, "problem": broken[0]}
    pairs = list(zip(ours["timing"]["losses"], theirs["timing"]["losses"], strict=True))
    difference = max((abs(a - b) / b for a, b in pairs), default=float("inf"))
    bound = FARTHEST[ours["precision"]]
    found = {"name": name, "losses": pairs, "difference": difference, "bound": bound, "kernels": ours["kernels"]}
    if difference > bound:
        found["problem"] = f"losses differ by {difference:.2e} of the plain ones, more than {bound:g}"
    return found


def markdown(found: Found) -> str:
    """All tables; of what isn't there yet, none."""
    machine = found["machine"]
    lines = [_machine(machine), ""] if machine and "problem" not in machine else []
    for one in found["checks"]:
        said = one.get("problem") or f"losses differ by at most {one['difference']:.1e} (bound {one['bound']:g})"
        lines += [f"* {one['name']}, against plain float32: {said}"]
    lines += ["", *_blocks(found["blocks"], machine), ""] if found["blocks"] else []
    lines += [f"* {one['name']}: {one['problem']}" for one in found["blocks"] if "problem" in one]
    lines += [f"* {name}: left out, the time was over" for name in found["left_out"]]
    lines += ["", *ratios(found["blocks"]), "", "Published by others, on their hardware:", "", *_published()]
    return "\n".join(lines).strip() + "\n"


def _machine(machine: Found) -> str:
    peak, product = machine["peak"], machine["product"] / 1e12
    of = f"MFU of {peak / 1e12:,.1f} TFLOP/s, dense bfloat16 by the data sheet" if peak else "no MFU: no known peak"
    clocks = f" Clocks as found: {' '.join(machine['clocks'].split())}." if machine["clocks"] else ""
    return (
        f"{machine['device']}, {machine['cores']} cores, {machine['threads']} threads, torch {machine['torch']}, "
        f"transformers {machine['transformers']}; {of}; a product of large matrices here: {product:,.2f} TFLOP/s."
        f"{clocks}"
    )


def _blocks(blocks: Sequence[Found], machine: Found) -> list[str]:
    peak = machine.get("peak")
    mfu = [f"MFU, {name}" for name in FORMULAS if peak]
    head = ["block", "precision", "tokens/s", "per CPU second", "ms a step", *mfu, "of a product",
            "memory", "J/token", "waiting", "attention"]  # fmt: skip
    rows = [head, ["---"] * len(head)]
    for one in blocks:
        if "timing" in one:
            rows.append(_row(one, peak, machine.get("product")))
    return [f"| {' | '.join(row)} |" for row in rows]


def _row(found: Found, peak: float | None, product: float | None) -> list[str]:
    timing, speed, flops = found["timing"], tokens_per_second(found), found["flops_per_token"]
    block = Block.of(found["block"])
    timed = block.batch * block.shape.tokens * (block.steps - block.warm_up)
    joules, waiting = timing["joules"], timing["waiting"]
    shares = utilisations(flops, speed, peak) if peak else {}
    return [
        found["name"],
        found["precision"],
        f"{speed:,.0f}",
        f"{tokens_per_cpu_second(found):,.0f}",
        f"{1000 * timing['median']:,.1f}",
        *(f"{share:.1%}" for share in shares.values()),
        f"{flops[FORMULAS[0]] * speed / product:.1%}" if product else "",
        f"{timing['peak_memory'] / 1e9:,.1f} GB",
        f"{joules / timed:.4f} ({timing['joules_by']})" if joules is not None else "not measured",
        "not counted" if waiting is None else f"{waiting:.1%}",
        ", ".join(found["kernels"]),
    ]


def pairs_of(blocks: Sequence[Found]) -> dict[str, list[tuple[Found, Found]]]:
    """(product, peer) of each shape and peer, the first of each, the second of each, ..., where both are there."""
    found: dict[str, dict[str, list[Found]]] = {}
    for one in blocks:
        if "timing" in one:
            block = Block.of(one["block"])
            same = (
                f"{block.shape.name}, {block.batch} rows, {block.shape.documents} documents a row, {one['precision']}"
            )
            found.setdefault(same, {}).setdefault(block.who, []).append(one)
    return {
        f"{same}, against {who}": list(zip(by[TAMIZ], theirs, strict=False))
        for same, by in found.items()
        for who, theirs in by.items()
        if who != TAMIZ and TAMIZ in by
    }


def ratios(blocks: Sequence[Found]) -> list[str]:
    """How many times as fast the product is, round by round."""
    lines = []
    for name, pairs in pairs_of(blocks).items():
        by_time = [tokens_per_second(ours) / tokens_per_second(theirs) for ours, theirs in pairs]
        by_cpu = [tokens_per_cpu_second(ours) / tokens_per_cpu_second(theirs) for ours, theirs in pairs]
        lines.append(f"* {name}: {_spread(by_time)} times as fast; by processor time {_spread(by_cpu)}")
    return lines


def _spread(values: Sequence[float]) -> str:
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f} to {max(values):.2f})"


def _published() -> list[str]:
    head = ("model", "hardware", "figure", "mfu", "source")
    rows = [head, tuple("---" for _ in head), *(tuple(asdict(one).values()) for one in PUBLISHED)]
    return [f"| {' | '.join(row)} |" for row in rows]
