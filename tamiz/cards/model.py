"""The model card: README.md with YAML front matter."""

from __future__ import annotations

import math

import msgspec

from corpora.config import Config
from tamiz.cards import texts
from tamiz.cards.front_matter import front_matter
from tamiz.cards.markdown import section, table
from tamiz.trainer.energy import NOT_MEASURED
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.trained import SCRATCH, Metrics, Trained

Row = tuple[str, object]

# the example's text, parted where a word is masked
_WORDS = {
    "en": ("The girl went to the", "with her mother."),
    "es": ("la niña fue al", "con su madre."),
    "pt": ("a menina foi ao", "com a mãe."),
}

_UNIGRAMS = (
    "\nThe entropy of the training rows' target ids is {:.4f}: the loss on these rows of a model that only knows how "
    "often each id occurs. On the validation rows, such a model has more.\n"
)


class CardFacts(Config, frozen=True, kw_only=True):
    """Facts for the card that training doesn't know. All are optional."""

    title: str | None = None
    """The heading. None: named after the family, such as "A T5 trained with tamiz"."""
    language: str | tuple[str, ...] | None = None
    """ISO 639 code of the documents, or several codes. None: not known."""
    licence: str | None = None
    """An SPDX id in lower case, chosen by whoever publishes the model. None: not stated; nothing is assumed."""
    reference: str | None = None
    """URL of the model or paper that the shape and settings are taken from."""
    description: str | None = None
    """The first paragraph. None: the family's description."""
    tags: tuple[str, ...] = ()
    """Hub tags, besides the family's and "tamiz"."""
    datasets: tuple[str, ...] = ()
    """Names of the datasets on the Hub."""
    data: dict[str, str] = {}  # noqa: RUF012 (msgspec copies it)
    """Rows of the data table: name -> value."""


def model_card(trained: Trained, facts: CardFacts) -> str:
    """The card's text."""
    model = trained.model
    parts = [
        _front_matter(model, facts),
        f"# {facts.title or f'A {model.title} trained with tamiz'}\n",
        _introduction(trained, facts),
        "## Use\n\n" + _use(model, facts),
        "## Data\n\n" + table(_data_rows(trained, facts)) + _mixture(trained.metrics),
        "## Model\n\n" + table(msgspec.to_builtins(model).items()),
        "## Training\n\n" + table(_settings(trained).items()),
        "## Loss\n\n" + _loss(trained.metrics),
        section("Evaluation", _evaluation(trained)),
        "## Cost\n\n" + table(_cost_rows(trained.metrics)),
        section("Limits", texts.MODEL_LIMITS),
    ]
    return "\n".join(part for part in parts if part)


def _settings(trained: Trained) -> dict[str, object]:
    """Without paths of this machine."""
    plain: dict[str, object] = msgspec.to_builtins(trained.settings)
    return plain if trained.settings.init is None else {**plain, "init": trained.origin}


def _front_matter(model: ModelSettings, facts: CardFacts) -> str:
    return front_matter(
        {
            "language": facts.language,
            "license": facts.licence,
            "library_name": "transformers",
            "pipeline_tag": model.pipeline_tag,
            "tags": list(dict.fromkeys((*model.tags, "tamiz", *facts.tags))),
            "datasets": facts.datasets,
        }
    )


def _introduction(trained: Trained, facts: CardFacts) -> str:
    described = trained.model.description(trained.metrics["parameters"])
    text = facts.description or described.replace(SCRATCH, trained.origin)
    return f"{text}\n" + (f"\nShape and settings after {facts.reference}.\n" if facts.reference else "")


def _use(model: ModelSettings, facts: CardFacts) -> str:
    """Lines that run in the model's folder."""
    language = facts.language if isinstance(facts.language, str) else next(iter(facts.language or ()), "")
    example = model.example(*_WORDS.get(language, _WORDS["en"]))
    return f"""```python
from transformers import {model.auto_class}, AutoTokenizer

folder = "."  # or the model's name on the Hub
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {model.auto_class}.from_pretrained(folder)
{example}```
"""


def _data_rows(trained: Trained, facts: CardFacts) -> list[Row]:
    shards = trained.inputs.facts
    return [
        *facts.data.items(),
        ("licence", facts.licence or "not stated"),
        *((f"rows, {split}", f"{rows:,}") for split, rows in shards.rows.items()),
        ("objective", shards.objective),
        ("ids in a row", trained.model.row_description(shards)),
        ("fingerprint of the shards", trained.inputs.fingerprint),
        ("sha256 of the tokenizer", shards.tokenizer_sha256),
    ]


def _mixture(metrics: Metrics) -> str:
    """What was read of each source, if several were mixed."""
    if "mixture" not in metrics:
        return ""
    mixture = metrics["mixture"]
    names = (
        "source",
        f"asked share of the {mixture['unit']}",
        "share of the rows",
        "realised",
        "rows read",
        "epochs",
    )
    rows = [
        (one["name"], *(f"{one[key]:.4%}" for key in ("asked", "exact", "realised")), f"{one['rows']:,}",
         f"{one['epochs']:,.2f}")
        for one in mixture["sources"]
    ]  # fmt: skip
    return f"\nMixed by {mixture['method']}:\n\n" + table(rows, names)


def _loss(metrics: Metrics) -> str:
    """The loss curve, and a table of validation losses in nats per target id."""
    points = [(f"{p['step']:,}", f"{p['validation_loss']:.4f}") for p in metrics["history"] if "validation_loss" in p]
    entropy = metrics["target_unigram_entropy_nats"]
    known = _UNIGRAMS.format(entropy) if entropy else ""
    curve = "![Training and validation loss by step](loss.png)\n\n"
    return curve + table(points, ("step", "validation loss, nats per target id")) + _end(metrics) + known


def _end(metrics: Metrics) -> str:
    """Why the training ended before its last step, and whose weights the model has, where that was looked for."""
    if "kept_step" not in metrics:
        return ""
    best, loss = metrics["best_validation_step"], metrics["best_validation_loss"]
    early = f"Ended early, after step {metrics['steps']:,}. " if metrics["ended_early"] else ""
    kept = metrics["kept_step"]
    lowest = f"The lowest validation loss was {loss:.4f}, at step {best:,}"
    return f"\n{early}{lowest}; the model has the weights of step {kept:,}.\n"


def _evaluation(trained: Trained) -> str:
    """What the model's validation loss means; nothing without validation rows.

    It isn't in the metadata: a result of `model-index` names a dataset of the Hub, and these rows are none.
    """
    loss = trained.metrics.get("validation_loss")
    if loss is None:
        return ""
    rows = [
        ("loss, nats per target id", f"{loss:.4f}"),
        ("perplexity per target id", f"{math.exp(min(loss, 700.0)):,.2f}"),
        *_bits_per_byte(trained, loss),
        ("rows", f"{trained.inputs.facts.rows.get('validation', 0):,} held out of the training; at most "
         f"{trained.settings.validation_batches:,} batches of them"),
    ]  # fmt: skip
    kept = trained.metrics.get("kept_step", trained.metrics["steps"])
    after = "the last step" if kept == trained.metrics["steps"] else f"step {kept:,}, whose weights the model has"
    return f"After {after}, on validation rows:\n\n" + table(rows)


def _bits_per_byte(trained: Trained, loss: float) -> list[Row]:
    """Where every id of a text is a target, the loss is also one of its bytes, whatever the tokenizer."""
    shards = trained.inputs.facts
    account = shards.account.get("validation") if shards.account else None
    if shards.objective != "causal" or account is None or not account.text_bytes:
        return []
    ids = account.ids + account.separators
    return [("bits per byte of text", f"{loss / math.log(2) * ids / account.text_bytes:.4f}")]


def _cost_rows(metrics: Metrics) -> list[Row]:
    return [
        ("device", metrics["device"]),
        ("steps", f"{metrics['steps']:,}"),
        ("ids read", f"{metrics['tokens']:,}"),
        ("time", f"{metrics['seconds']:,.0f} s"),
        ("peak memory", f"{metrics['peak_memory_bytes'] / 2**20:,.0f} MiB"),
        *_energy_rows(metrics),
    ]


def _energy_rows(metrics: Metrics) -> list[Row]:
    """Energy by component, and CO2 where a country is known. Models of earlier versions have only the sum."""
    energy = metrics["energy_kwh"]
    if energy is None:
        return [("energy", NOT_MEASURED)]
    by, seconds = metrics.get("energy_by") or "codecarbon", metrics["energy_seconds"]
    rows: list[Row] = [("energy", f"{energy:.6f} kWh over {seconds:,.0f} s ({by})")]
    for key, name in (("energy_cpu_kwh", "processor"), ("energy_gpu_kwh", "GPU"), ("energy_ram_kwh", "memory")):
        value = metrics.get(key)
        rows.append((f"energy, {name}", "not measured" if value is None else f"{value:.6f} kWh{_how(key, metrics)}"))
    if metrics.get("energy_joules_per_token") is not None:
        rows.append(("energy for an id read", f"{metrics['energy_joules_per_token']:.4g} J"))
    if metrics.get("co2_kg") is not None:
        rows.append(("CO2 equivalents", f"{metrics['co2_kg']:.6f} kg, of the mean kWh in {metrics['country']}"))
    if metrics.get("energy_interruptions"):
        rows.append(("not in the energy", _lost(metrics["energy_interruptions"])))
    return rows


def _how(key: str, metrics: Metrics) -> str:
    """What says that a figure isn't measured."""
    guessed = key == "energy_ram_kwh" or (key == "energy_cpu_kwh" and metrics.get("energy_estimated"))
    return ", estimated, not measured" if guessed else ""


def _lost(times: int) -> str:
    if times == 1:
        return "the training was continued once: what it did after its last checkpoint isn't counted"
    return f"the training was continued {times:,} times: what it did after the checkpoint before isn't counted"
