"""Counts by tokenizer, language and source -> the content of eval.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from corpora.documents.groups import Per, group_name
from tokenizer_train.evaluation.candidate import Candidate
from tokenizer_train.evaluation.tally import Tally, figures

FORMAT = "tamiz-eval"
LEVELS: tuple[Per, ...] = get_args(Per)
Key = tuple[int, str, str]  # index of the tokenizer, language, source; "" if unknown


def summarise(tallies: Mapping[Key, Tally], candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Figures as `per[level][group][tokenizer]`, levels and groups as in calibration.json.

    Groups of a coarser level are the sums of the finer ones.
    """
    return {
        "format": FORMAT,
        "version": 1,
        "tokenizers": [_describe(candidate) for candidate in candidates],
        "per": {level: _groups(level, tallies, candidates) for level in LEVELS},
    }


def _describe(candidate: Candidate) -> dict[str, Any]:
    encoder = candidate.encoder
    return {
        "name": candidate.name,
        "sha256": encoder.sha256,
        "vocab_size": encoder.vocab_size,
        "word_prefix": candidate.prefix,
    }


def _groups(level: Per, tallies: Mapping[Key, Tally], candidates: Sequence[Candidate]) -> dict[str, Any]:
    parts: dict[str, dict[int, list[Tally]]] = {}
    for (number, language, source), tally in sorted(tallies.items()):
        parts.setdefault(group_name(level, language, source), {}).setdefault(number, []).append(tally)
    return {
        group: {candidates[number].name: _figures(Tally.sum(of), candidates[number]) for number, of in by.items()}
        for group, by in sorted(parts.items())
    }


def _figures(tally: Tally, candidate: Candidate) -> dict[str, Any]:
    return figures(
        tally,
        candidate.encoder.vocab_size,
        has_unknown=candidate.encoder.unk_id is not None,
        has_auto=candidate.auto is not None,
    )
