"""Trains a language model: of a small text in this process, of others after a pipeline numbered their sentences."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corpora import files, lm_json
from corpora.documents.item import WorkItem
from corpora.home import Home
from corpora.manifest import FileRecord, InputIdentity, MadeFrom, Manifest
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import NUMBERED, part_of, reading_percent, train_lm, train_on_parts
from pipelines.settings import RunnerSettings
from tamiz.bars import Bar
from tamiz.console import progress

if TYPE_CHECKING:
    from pipelines.lm import Sentences

SMALL_INPUT = 4 << 20  # bytes as stored: for less, starting a pipeline takes longer than reading
SENTENCES = "sentences"  # in the notes of the model
_HERE = "FnApiRunner"


def train(
    items: Sequence[WorkItem],
    out: Path,
    settings: LmSettings,
    made_from: MadeFrom,
    share: float,
    runner: RunnerSettings,
    name: str,
    shared: Home | None = None,
) -> None:
    """Writes the model's files. Both ways give the same bytes. shared: where workers leave their results, if it isn't
    beside the model."""
    way = _train_here if is_small(items) and runner.runner == _HERE else _train_by_pipeline
    with progress(name) as bar:
        way(list(items), out, settings, made_from, share, runner, bar, shared)


def is_small(items: Sequence[WorkItem]) -> bool:
    """Whether the items' files are known to be small."""
    sizes = [item.size for item in {item.path: item for item in items}.values()]
    return all(size is not None for size in sizes) and sum(size or 0 for size in sizes) <= SMALL_INPUT


def _train_here(
    items: list[WorkItem],
    out: Path,
    settings: LmSettings,
    made_from: MadeFrom,
    share: float,
    runner: RunnerSettings,  # noqa: ARG001 - as in _train_by_pipeline
    bar: Bar,
    shared: Home | None,  # noqa: ARG001
) -> None:
    from tamiz.stages.texts import Texts

    _clear_rejected(out)
    reading = part_of(bar, 0, reading_percent(settings))
    texts = Texts(items, lm_json.rejected_folder(out), reading, share)
    train_lm(
        texts,
        out,
        settings=settings,
        progress=bar,
        phase=bar.phase,
        where=lambda: texts.place,
        extra=lambda: _described(settings, made_from, texts.counts(), texts.accounts, texts.damaged, texts.records),
    )


def _train_by_pipeline(
    items: list[WorkItem],
    out: Path,
    settings: LmSettings,
    made_from: MadeFrom,
    share: float,
    runner: RunnerSettings,
    bar: Bar,
    shared: Home | None,
) -> None:
    sentences = _numbered(items, out, settings, made_from.inputs, share, runner, bar, shared)
    done = sentences.manifest
    _clear_rejected(out)
    sentences.copy_rejected(lm_json.rejected_folder(out))
    bar.phase("counting n-grams")
    train_on_parts(
        sentences.parts,
        out,
        settings=settings,
        tokenizer=sentences.tokenizer,
        blank_lines=done.facts["blank"],
        skipped=done.facts["skipped"],
        progress=part_of(bar, _border(settings), 100),
        extra=lambda: _described(settings, made_from, done.counts, _accounts(done), done.damaged, sentences.rejected),
    )


def number(
    items: list[WorkItem],
    out: Path,
    settings: LmSettings,
    inputs: list[InputIdentity],
    share: float,
    runner: RunnerSettings,
    name: str,
    shared: Home | None,
) -> None:
    """Does a run's share of the work before the estimation. Raises ShareDone if that of others is missing."""
    with progress(name) as bar:
        _numbered(items, out, settings, inputs, share, runner, bar, shared)


def _numbered(
    items: list[WorkItem],
    out: Path,
    settings: LmSettings,
    inputs: list[InputIdentity],
    share: float,
    runner: RunnerSettings,
    bar: Bar,
    shared: Home | None,
) -> Sentences:
    from pipelines.lm import number_sentences

    notes = lm_json.progress_folder(out)
    return number_sentences(
        items,
        shared or Home.of(notes / SENTENCES),
        inputs,
        settings,
        share,
        runner,
        kept=notes,
        progress=part_of(bar, 0, _border(settings)),
        phase=bar.phase,
    )


def _border(settings: LmSettings) -> int:
    """The percentage at which the estimation begins."""
    return reading_percent(settings) if settings.vocabulary_size is None else NUMBERED


def _clear_rejected(out: Path) -> None:
    """Removes another run's: LM.json lists what lies there."""
    shutil.rmtree(lm_json.rejected_folder(out), ignore_errors=True)


def _accounts(done: Manifest) -> list[dict[str, Any]]:
    """Manifests leave out what is 0; LM.json doesn't."""
    nothing: dict[str, Any] = {"sampled_out": 0, "rejected": {}}
    keys = ("name", "read", "kept", "sampled_out", "rejected")
    return [{key: {**nothing, **account}[key] for key in keys} for account in done.items]


def _described(
    settings: LmSettings,
    made_from: MadeFrom,
    counts: dict[str, Any],
    accounts: Sequence[dict[str, Any]],
    damaged: Sequence[dict[str, Any]],
    rejected: Sequence[FileRecord],
) -> dict[str, Any]:
    """What LM.json says besides what the training does."""
    return {
        "made_from": msgspec.to_builtins(made_from),
        "fingerprint": made_from.fingerprint(),
        "documents": counts,
        "items": accounts,
        "damaged": damaged,
        **({"arpa_sha256": files.sha256(settings.arpa)} if settings.arpa else {}),
        "rejected_files": [msgspec.to_builtins(found) for found in rejected],
    }
