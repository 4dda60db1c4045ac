"""The model card: README.md with YAML front matter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tamiz.trainer.energy import NOT_MEASURED
from tamiz.trainer.inputs import Inputs
from tamiz.trainer.settings import ModelSettings, TrainSettings

Row = tuple[str, object]


def model_card(
    card: Mapping[str, Any], inputs: Inputs, shape: ModelSettings, settings: TrainSettings, metrics: Mapping[str, Any]
) -> str:
    """The card's text. Of `card` it takes, all optional: `title`, `language`, `licence` (an SPDX id in lower case),
    `tags`, `datasets` (Hub names), `description`, `reference` (an address), `data` (rows of the data table by name).
    """
    parts = [
        _front_matter(card),
        f"# {card.get('title', 'A T5 trained with tamiz')}\n",
        _introduction(card, metrics),
        "## Use\n\n" + _USE,
        "## Data\n\n" + _table(_data_rows(card, inputs)),
        "## Model\n\n" + _table(msgspec.to_builtins(shape).items()),
        "## Training\n\n" + _table(msgspec.to_builtins(settings).items()),
        "## Loss\n\n" + _loss(metrics),
        "## Cost\n\n" + _table(_cost_rows(metrics)),
    ]
    return "\n".join(parts)


def _front_matter(card: Mapping[str, Any]) -> str:
    """Hub metadata; JSON scalars and lists are YAML."""
    fields: dict[str, Any] = {
        "language": card.get("language"),
        "license": card.get("licence"),
        "library_name": "transformers",
        "pipeline_tag": "text2text-generation",
        "tags": ["t5", "tamiz", *(tag for tag in card.get("tags", []) if tag not in ("t5", "tamiz"))],
        "datasets": card.get("datasets"),
    }
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items() if value]
    return "\n".join(["---", *lines, "---", ""])


def _introduction(card: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    said = card.get("description") or (
        f"A T5 of {metrics['parameters']:,} parameters, pretrained from scratch by span corruption: it fills masked "
        "spans, and is meant to be fine-tuned."
    )
    reference = card.get("reference")
    return f"{said}\n" + (f"\nShape and settings after {reference}.\n" if reference else "")


_USE = """```python
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForSeq2SeqLM.from_pretrained(".")
```
"""


def _data_rows(card: Mapping[str, Any], inputs: Inputs) -> list[Row]:
    facts = inputs.facts
    return [
        *card.get("data", {}).items(),
        *((f"rows, {split}", f"{rows:,}") for split, rows in facts.rows.items()),
        ("objective", facts.objective),
        ("ids in a row", f"{facts.sequence_length} inputs, {facts.label_length} targets"),
        ("shards' fingerprint", inputs.fingerprint),
        ("tokenizer's sha256", facts.tokenizer_sha256),
    ]


def _loss(metrics: Mapping[str, Any]) -> str:
    """The curve, and its validation points in nats per target id."""
    points = [(f"{p['step']:,}", f"{p['validation_loss']:.4f}") for p in metrics["history"] if "validation_loss" in p]
    entropy = metrics["target_unigram_entropy_nats"]
    known = f"\nA model that knows only how often each target id occurs has {entropy:.4f}.\n" if entropy else ""
    curve = "![Training and validation loss by step](loss.png)\n\n"
    return curve + _table(points, ("step", "validation loss, nats per target id")) + known


def _cost_rows(metrics: Mapping[str, Any]) -> list[Row]:
    energy = metrics["energy_kwh"]
    seconds = metrics["energy_seconds"]
    measured = f"{energy:.6f} kWh over {seconds:,.0f} s (codecarbon)" if energy is not None else NOT_MEASURED
    return [
        ("device", metrics["device"]),
        ("steps", f"{metrics['steps']:,}"),
        ("ids read and predicted", f"{metrics['tokens']:,}"),
        ("time", f"{metrics['seconds']:,.0f} s"),
        ("memory, at most", f"{metrics['peak_memory_bytes'] / 2**20:,.0f} MiB"),
        ("energy", measured),
    ]


def _table(rows: Iterable[tuple[object, object]], head: tuple[str, str] = ("", "")) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {_cell(a)} | {_cell(b)} |" for a, b in rows)]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
