"""What `benchmarks.sieve` found: the figures of each training, the table and the plot."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from glob import glob
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.sieve_corpus import Corpus, read
from benchmarks.sieve_noise import CLEAN, SHARES
from benchmarks.sieve_sizes import Size
from tamiz import drawing

Curve = list[tuple[int, float]]
BASE = "random"


@dataclass(frozen=True)
class Arm:
    """One training. documents, characters: of each kind in its sample. tokens: read by the training; available: ids
    of its shards' training rows. curve: (step, loss in nats per id of the held-out text)."""

    name: str
    seed: int
    documents: dict[str, int]
    characters: dict[str, int]
    tokens: int
    available: int
    parameters: int
    held_out_ids: int
    curve: Curve

    @property
    def last(self) -> float:
        return self.curve[-1][1]

    @property
    def noise(self) -> float:
        """Share of the sample's characters that are noise."""
        return 1 - self.characters.get(CLEAN, 0) / sum(self.characters.values())

    @classmethod
    def read(cls, path: Path) -> Arm:
        plain = json.loads(path.read_bytes())
        return cls(**{**plain, "curve": [(step, loss) for step, loss in plain["curve"]]})

    def json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()


def figures_of(name: str, seed: int, folder: Path, pattern: str) -> Arm:
    """Reads what the commands wrote."""
    documents: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for kind, length in _sampled(pattern):
        documents[kind] += 1
        characters[kind] += length
    metrics = json.loads((folder / "model" / "metrics.json").read_bytes())
    facts = json.loads((folder / "shards" / "manifest.json").read_bytes())["facts"]
    width, rows = facts["sequence_length"], facts["rows"]
    return Arm(
        name=name, seed=seed, documents=dict(documents), characters=dict(characters), tokens=metrics["tokens"],
        available=rows["train"] * width, parameters=metrics["parameters"], held_out_ids=rows["validation"] * width,
        curve=[(int(p["step"]), p["validation_loss"]) for p in metrics["history"] if "validation_loss" in p],
    )  # fmt: skip


def _sampled(pattern: str) -> Iterator[tuple[str, int]]:
    """(kind, characters) of each document of a sample."""
    for path in sorted(glob(pattern)):  # noqa: PTH207 (an absolute pattern)
        if path.endswith(".parquet"):
            columns = pq.read_table(path, columns=["kind", "text"]).to_pydict()
            yield from ((kind, len(text)) for kind, text in zip(columns["kind"], columns["text"], strict=True))
        else:
            yield from ((document.kind, len(document.text)) for document in read(Path(path)))


def by_name(arms: Sequence[Arm]) -> dict[str, list[Arm]]:
    """Arms of each sampler, in the order in which samplers come first."""
    found: dict[str, list[Arm]] = {}
    for arm in arms:
        found.setdefault(arm.name, []).append(arm)
    return found


def reached(curve: Curve, loss: float) -> float | None:
    """The step at which a curve first falls to a loss, on straight lines between its points; None: never."""
    for (before, high), (after, low) in pairwise(curve):
        if low <= loss <= high:
            return before + (after - before) * (high - loss) / (high - low) if high > low else float(before)
    return None


def steps_saved(arms: Sequence[Arm], base: Sequence[Arm]) -> list[float]:
    """Share of the steps that each arm didn't need to reach the last loss of the base arm of its seed; of those that
    reach it."""
    others = {arm.seed: arm for arm in base}
    found = []
    for arm in arms:
        if arm.seed in others and (step := reached(arm.curve, others[arm.seed].last)) is not None:
            found.append(1 - step / arm.curve[-1][0])
    return found


def differences(arms: Sequence[Arm], base: Sequence[Arm]) -> list[float]:
    """Last losses less those of the base arm of the same seed."""
    others = {arm.seed: arm.last for arm in base}
    return [arm.last - others[arm.seed] for arm in arms if arm.seed in others]


def spread(values: Sequence[float], digits: int = 4, sign: str = "") -> str:
    """mean (lowest to highest)."""
    if not values:
        return "-"
    shown = [f"{value:{sign}.{digits}f}" for value in (statistics.fmean(values), min(values), max(values))]
    return shown[0] if len(values) == 1 else f"{shown[0]} ({shown[1]} to {shown[2]})"


def markdown(size: Size, corpus: Corpus, arms: Sequence[Arm]) -> str:
    """The tables."""
    found = by_name(arms)
    return "\n".join(
        [
            _setting(size, corpus, arms[0], max(map(len, found.values()))),
            "",
            *_losses(found),
            "",
            "Share of the pool's documents of each kind that each sample lets through:",
            "",
            *_passed(found, corpus),
            "",
        ]
    )


def _setting(size: Size, corpus: Corpus, arm: Arm, seeds: int) -> str:
    documents, characters = sum(corpus.counts.values()), sum(corpus.characters.values())
    noise = 1 - corpus.counts[CLEAN] / documents, 1 - corpus.characters[CLEAN] / characters
    return (
        f"Pool: {documents:,} documents, {characters:,} characters; {noise[0]:.1%} of the documents, {noise[1]:.1%} "
        f"of the characters are planted noise. Each sample keeps {size.keep:.3g} of the documents. Model: a Llama of "
        f"{arm.parameters:,} parameters, {arm.tokens:,} tokens in {arm.curve[-1][0]:,} steps. Held out: "
        f"{corpus.held_out} clean documents, {arm.held_out_ids:,} ids. Mean (lowest to highest) over {seeds} seeds, "
        "each with another draw, other first weights and another order of rows."
    )


def _losses(found: dict[str, list[Arm]]) -> list[str]:
    head = ("sample", "held-out loss (nats per id)", f"less {BASE}'s, seed by seed", f"steps saved to {BASE}'s loss",
            "noise (characters)", "sample (million ids)", "epochs")  # fmt: skip
    rows = [head, tuple("---" for _ in head)]
    base = found.get(BASE, [])
    for name, arms in found.items():
        saved = steps_saved(arms, base)
        rows.append(
            (
                name,
                spread([arm.last for arm in arms]),
                "" if name == BASE else spread(differences(arms, base), sign="+"),
                "" if name == BASE else f"{spread([100 * s for s in saved], 0)}%" if saved else "never",
                f"{statistics.fmean(arm.noise for arm in arms):.1%}",
                f"{statistics.fmean(arm.available for arm in arms) / 1e6:.2f}",
                f"{statistics.fmean(arm.tokens / arm.available for arm in arms):.2f}",
            )
        )
    return [f"| {' | '.join(row)} |" for row in rows]


def _passed(found: dict[str, list[Arm]], corpus: Corpus) -> list[str]:
    kinds = [CLEAN, *SHARES]
    rows = [("sample", *kinds), tuple("---" for _ in range(len(kinds) + 1))]
    for name, arms in found.items():
        shares = [
            statistics.fmean(arm.documents.get(kind, 0) for arm in arms) / corpus.counts[kind]
            if corpus.counts.get(kind)
            else math.nan
            for kind in kinds
        ]
        rows.append((name, *(f"{share:.1%}" for share in shares)))
    return [f"| {' | '.join(row)} |" for row in rows]


def plot(arms: Sequence[Arm], path: Path) -> None:
    """Held-out loss against steps: means over seeds, and a band from the lowest to the highest."""
    found = by_name(arms)
    colours = (drawing.INK, *drawing.CURVES, "#e69f00", drawing.BEFORE_EDGE)
    with drawing.drawing(path, drawing.PAGE, 3.2) as figure:
        whole, late = figure.subplots(1, 2)
        for number, (name, several) in enumerate(found.items()):
            steps = [step for step, _ in several[0].curve]
            losses = [[arm.curve[n][1] for arm in several] for n in range(len(steps))]
            style = {"color": colours[number % len(colours)], "linestyle": "--" if name == BASE else "-"}
            for axis, begin in ((whole, 1), (late, len(steps) // 2)):
                at, values = steps[begin:], losses[begin:]
                axis.plot(at, [statistics.fmean(v) for v in values], label=name, **style)
                axis.fill_between(
                    at, [min(v) for v in values], [max(v) for v in values], color=style["color"], alpha=0.15
                )
        for axis in (whole, late):
            axis.set_xlabel("step")
            axis.xaxis.get_major_locator().set_params(integer=True)
        whole.set_ylabel("loss on clean held-out text (nats per id)")
        late.set_title("the second half")
        drawing.legend_above(figure, whole.get_legend_handles_labels()[0], columns=6)
