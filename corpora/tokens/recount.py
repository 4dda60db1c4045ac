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
    ids = _ids(columns, "input_ids", facts)
    if "num_tokens" not in columns:
        return int(ids.size)
    lengths = columns["num_tokens"]
    if np.shape(lengths) != (len(ids),):
        raise ValueError("num_tokens isn't one number a row")
    if len(lengths) and not 0 < lengths.min() <= lengths.max() <= ids.shape[1]:
        raise ValueError(f"num_tokens from {lengths.min()} to {lengths.max()} in rows of {ids.shape[1]}")
    beyond = np.arange(ids.shape[1]) >= lengths[:, None]
    if np.any(ids[beyond] != facts["pad_id"]):
        raise ValueError("ids other than padding after a row's num_tokens")
    return int(lengths.sum())


def _corrupted(columns: dict[str, Any], facts: dict[str, Any]) -> int:
    """Each sentinel of the inputs must be in the labels, in the same order."""
    inputs, labels = _ids(columns, "input_ids", facts), _ids(columns, "labels", facts)
    found = [_sentinels(rows, facts["sentinel_ids"]) for rows in (inputs, labels)]
    if not np.array_equal(inputs[found[0]], labels[found[1]]) or np.any(found[0].sum(1) != found[1].sum(1)):
        raise ValueError("a row's inputs and labels have other sentinels")
    own = sum(_before_end(rows, facts) for rows in (inputs, labels))
    return own - 2 * int(np.count_nonzero(found[0]))


def _before_end(rows: npt.NDArray[Any], facts: dict[str, Any]) -> int:
    """Ids before the EOS that ends each row; behind it stands padding alone. (Text may yield the id of padding.)"""
    ends = rows == facts["eos_id"]
    if not ends.any(1).all():
        raise ValueError("a row without EOS")
    lengths = rows.shape[1] - np.argmax(ends[:, ::-1], axis=1)
    if np.any(rows[np.arange(rows.shape[1]) >= lengths[:, None]] != facts["pad_id"]):
        raise ValueError("ids other than padding after a row's EOS")
    return int(lengths.sum()) - len(rows)


def _sentinels(rows: npt.NDArray[Any], known: dict[str, int] | None) -> npt.NDArray[np.bool_]:
    """Sentinels are a run of ids."""
    if known is None:
        raise ValueError("corrupted rows, but the manifest names no sentinels")
    ends = (known["first"], known["first"] + (known["count"] - 1) * known["step"])
    found: npt.NDArray[np.bool_] = (rows >= min(ends)) & (rows <= max(ends))
    return found


def _ids(columns: dict[str, Any], name: str, facts: dict[str, Any]) -> npt.NDArray[Any]:
    rows: npt.NDArray[Any] = columns[name]
    if not isinstance(rows, np.ndarray) or rows.ndim != 2:
        raise ValueError(f"column {name} isn't lists of one length")
    if rows.size and not 0 <= rows.min() <= rows.max() < facts["vocab_size"]:
        wrong = rows.min() if rows.min() < 0 else rows.max()
        raise ValueError(f"id {wrong} in a vocabulary of {facts['vocab_size']}")
    return rows
