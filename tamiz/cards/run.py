"""The card of a run's folder: one dataset repository with what is published of it, and how each part is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpora.manifest import Manifest
from tamiz.cards import configs, plots, texts
from tamiz.cards.dataset import DatasetFacts, sampling_parts
from tamiz.cards.examples import examples
from tamiz.cards.front_matter import NotYaml, front_matter, read_front_matter
from tamiz.cards.loading import dataset_lines, model_lines
from tamiz.cards.markdown import NAME, section, table
from tamiz.cards.shards import shards_table

RECIPE = "recipe.json"
_FROM_SAMPLE = (
    "language", "license", "multilinguality", "size_categories", "source_datasets", "task_categories",
    "annotations_creators", "language_creators",
)  # fmt: skip
# stages whose folders `tamiz.hub.folder` publishes with a run: a configuration without files is an error on the Hub
_WHAT = {
    "sample": "the documents that were kept",
    "tokenizer": "the tokenizer",
    "shards": "training rows",
    "train": "the model",
}


def run_card(folder: Path, _content: Manifest) -> str:
    """Equal runs give equal texts."""
    recipe = _recipe(folder)
    parts = [part for part in configs.parts_of(folder) if part[1].stage in _WHAT]
    found = configs.of_run(parts)
    title = str(recipe.get("title") or "A run of tamiz")
    sampled = next(((where, content) for where, content in parts if content.stage == "sample"), None)
    known = _fields(folder / sampled[0] / NAME) if sampled else {}
    fields = {"pretty_name": title, **{key: known.get(key) for key in _FROM_SAMPLE}, "tags": ["tamiz"]}
    reference = recipe.get("reference")
    lines = [
        front_matter({**fields, "configs": found}),
        f"# {title}\n",
        "Made by `tamiz run`: documents sampled by perplexity, and what was made of them.\n",
        f"After {reference}.\n" if reference else "",
        section("Parts", table(_listed(parts, found), ("folder", "content", "config"))),
        section("Use", *_use(folder, parts, found)),
        *(_sample(folder, *sampled) if sampled else ()),
        *(section(f"Training rows: {where}", shards_table(one)) for where, one in parts if one.stage == "shards"),
        *(_shown(folder, where, content) for where, content in parts if content.stage in ("tokenizer", "train")),
        section("Limits", texts.SAMPLE_LIMITS),
        section("Licence", texts.licence(str(known.get("license") or ""), known.get("source_datasets") or ())),
    ]
    return "\n".join(line for line in lines if line)


def _recipe(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / RECIPE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _fields(card: Path) -> Mapping[str, Any]:
    """The metadata of a card in the run."""
    try:
        return read_front_matter(card.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, NotYaml):
        return {}


def _listed(parts: list[tuple[str, Manifest]], found: list[configs.Config]) -> list[tuple[str, str, str]]:
    names = {str(one["data_files"][0]["path"]).rpartition("/")[0].split("/train")[0]: one for one in found}
    return [
        (f"`{where}/`", _WHAT[content.stage], str(names[where]["config_name"]) if where in names else "")
        for where, content in parts
    ]


def _use(folder: Path, parts: list[tuple[str, Manifest]], found: list[configs.Config]) -> list[str]:
    lines = []
    if found:
        first = found[0]["data_files"][0]
        lines.append(dataset_lines(first["path"], split=first["split"]))
        others = ", ".join(f"`{one['config_name']}`" for one in found[1:])
        lines += [f"Other parts have names: `load_dataset(repo, NAME)` with {others}.\n"] if others else []
    homes = {content.stage: where for where, content in parts}
    if "tokenizer" in homes or "train" in homes:
        model = homes.get("train", "")
        lines.append(model_lines(homes.get("tokenizer", model), model, _class_of(folder / model)))
    return lines


def _class_of(model: Path) -> str:
    """The class of transformers that loads the model with its head."""
    try:
        named = json.loads((model / "config.json").read_bytes())["architectures"][0]
    except (OSError, ValueError, LookupError, TypeError):
        return "AutoModel"
    return named if isinstance(named, str) and named.isidentifier() else "AutoModel"


def _sample(folder: Path, where: str, content: Manifest) -> list[str]:
    facts = DatasetFacts()
    return [
        section("Examples", examples(folder / where, content)),
        section("Sampling", *sampling_parts(content, facts, f"{where}/"), _own_card(folder, where)),
    ]


def _shown(folder: Path, where: str, content: Manifest) -> str:
    """The plot of a part, and where its own card is."""
    of_tokenizer = content.stage == "tokenizer"
    plot, title = (plots.WORDS, "Tokenizer") if of_tokenizer else ("loss.png", "Model")
    alt = "Words by their number of tokens" if of_tokenizer else "Training and validation loss by step"
    drawn = f"![{alt}]({where}/{plot})\n\n" if (folder / where / plot).is_file() else ""
    return section(title, drawn, _own_card(folder, where))


def _own_card(folder: Path, where: str) -> str:
    return f"[Its own card]({where}/{NAME}) says more.\n" if (folder / where / NAME).is_file() else ""
