"""Counts again, from the rows themselves, the ids of the stream that shards hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.errors import DamagedFile
from corpora.tokens.shards import read_groups


def row_ids(path: Path, facts: dict[str, Any]) -> int:
    """Ids of the stream in a shard's rows: no padding, no sentinel, no EOS of inputs and labels.

    Raises DamagedFile where the file can't be read, lacks a column or holds a row that the facts don't allow.
    """
    count = _causal if facts["objective"] == "causal" else _corrupted
    total = 0
    for columns in read_groups(path):
        try:
            total += count(columns, facts)
        except KeyError as missing:
            raise DamagedFile(f"{path} has no column {missing}: build the shards again") from None
        except ValueError as error:
            raise DamagedFile(f"{path}: {error}; build the shards again") from None
    return total


def _causal(columns: dict[str, Any], facts: dict[str, Any]) -> int:
    ids = columns["input_ids"]
    _check_ids(ids, facts)
    if "num_tokens" not in columns:
        return int(ids.size)
    lengths = columns["num_tokens"]
    if len(lengths) and not 0 < lengths.min() <= lengths.max() <= ids.shape[1]:
        raise ValueError(f"num_tokens from {lengths.min()} to {lengths.max()} in rows of {ids.shape[1]}")
    beyond = np.arange(ids.shape[1]) >= lengths[:, None]
    if np.any(ids[beyond] != facts["pad_id"]):
        raise ValueError("ids other than padding after a row's num_tokens")
    return int(lengths.sum())


def _corrupted(columns: dict[str, Any], facts: dict[str, Any]) -> int:
    """Each sentinel of the inputs must be in the labels, in the same order."""
    inputs, labels = columns["input_ids"], columns["labels"]
    _check_ids(inputs, facts)
    _check_ids(labels, facts)
    found = [_sentinels(rows, facts["sentinel_ids"]) for rows in (inputs, labels)]
    if not np.array_equal(inputs[found[0]], labels[found[1]]) or np.any(found[0].sum(1) != found[1].sum(1)):
        raise ValueError("a row's inputs and labels have other sentinels")
    own = int(np.count_nonzero(inputs != facts["pad_id"]) + np.count_nonzero(labels != facts["pad_id"]))
    return own - 2 * int(np.count_nonzero(found[0])) - 2 * len(inputs)


def _sentinels(rows: npt.NDArray[Any], known: dict[str, int]) -> npt.NDArray[np.bool_]:
    """Sentinels are a run of ids."""
    ends = (known["first"], known["first"] + (known["count"] - 1) * known["step"])
    found: npt.NDArray[np.bool_] = (rows >= min(ends)) & (rows <= max(ends))
    return found


def _check_ids(rows: npt.NDArray[Any], facts: dict[str, Any]) -> None:
    if rows.size and rows.max() >= facts["vocab_size"]:
        raise ValueError(f"id {rows.max()} in a vocabulary of {facts['vocab_size']}")
