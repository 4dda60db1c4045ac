"""What a manifest says of shards: how rows were made, and the account of every id."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from corpora.encoding import Encoder
from corpora.encoding.byte_encoder import ByteEncoder
from corpora.tokens.build import ItemShards, SplitShard, separators
from corpora.tokens.objectives import shapes_of
from corpora.tokens.packing_kernels import NO_ID
from corpora.tokens.settings import ShardSettings
from corpora.tokens.split import SPLITS


def shard_facts(built: Sequence[ItemShards], encoder: Encoder, settings: ShardSettings) -> dict[str, Any]:
    """Of all parts, the last one last."""
    splits = {name: [item.splits[name] for item in built] for name in SPLITS}
    counts = np.zeros(encoder.vocab_size, np.int64)
    for part in splits["train"]:
        counts += part.counts(encoder.vocab_size)
    return {
        "tokenizer_sha256": encoder.sha256,
        "encoder": encoder.engine,
        "vocab_size": encoder.vocab_size,
        "objective": settings.objective,
        "packing": settings.packing,
        "separator": _separator_policy(settings, encoder),
        "sentinels": _sentinel_convention(encoder),
        "sentinel_ids": _sentinel_ids(encoder),
        "pad_id": encoder.pad_id,
        "bos_id": encoder.bos_id,
        "eos_id": encoder.eos_id,
        "seed": settings.seed,
        "sequence_length": settings.sequence_length,
        **_lengths(settings),
        "window_groups": settings.window_groups,
        "rows": {name: sum(part.rows for part in parts) for name, parts in splits.items()},
        "account": {name: _account(parts, settings) for name, parts in splits.items()},
        "parts": _parts(splits),
        "target_unigram_entropy_nats": unigram_entropy_nats(counts),
    }


def _separator_policy(settings: ShardSettings, encoder: Encoder) -> str:
    bos_id, eos_id = separators(settings, encoder)
    before = "" if bos_id == NO_ID else f"BOS ({bos_id}) before"
    after = "" if eos_id == NO_ID else f"EOS ({eos_id}) after"
    return f"one {' and '.join(filter(None, (before, after)))} every document" if before or after else "none"


def _sentinel_ids(encoder: Encoder) -> dict[str, int] | None:
    """Sentinel k is first + k * step, 0 <= k < count."""
    if not encoder.num_sentinels:
        return None
    first = encoder.sentinel_id(0)
    step = encoder.sentinel_id(1) - first if encoder.num_sentinels > 1 else -1
    return {"first": first, "step": step, "count": encoder.num_sentinels}


def _sentinel_convention(encoder: Encoder) -> str:
    if not encoder.num_sentinels:
        return "none"
    if isinstance(encoder, ByteEncoder) and encoder.sentinel_id(0) < encoder.vocab_size - 1:
        return f"{encoder.num_sentinels} from id {encoder.sentinel_id(0)} downwards, as in google's ByT5 weights"
    ids = _sentinel_ids(encoder)
    assert ids is not None
    order = "the highest" if ids["step"] < 0 else "the lowest"
    return f"{encoder.num_sentinels} at the top ids, the first {order}"


def _lengths(settings: ShardSettings) -> dict[str, Any]:
    """raw_length: ids of the stream in a row, None where rows differ."""
    if settings.objective == "causal":
        return {"raw_length": settings.sequence_length, "label_length": None}
    shapes = shapes_of(settings)
    lengths = {
        "raw_length": shapes[0].raw_length if settings.objective == "span-corruption" else None,
        "label_length": max(shape.label_length for shape in shapes),
    }
    if settings.objective == "span-corruption":
        return lengths
    denoisers = [
        {
            **msgspec.to_builtins(d),
            **s._asdict(),
            "random_roll": settings.rolls and d.mean_noise_span_length is not None,
        }
        for d, s in zip(settings.denoisers, shapes, strict=True)
    ]
    return {**lengths, "denoisers": denoisers}


def _account(parts: list[SplitShard], settings: ShardSettings) -> dict[str, Any]:
    """ids + separators = row_ids + remainder; `tamiz verify` counts the rows' ids again."""
    account: dict[str, Any] = {
        "documents": sum(part.documents for part in parts),
        "ids": sum(part.ids_encoded for part in parts),
        "separators": sum(part.separators for part in parts),
        "rows": sum(part.rows for part in parts),
        "row_ids": sum(part.row_ids for part in parts),
        "remainder": parts[-1].tail.num_ids,
    }
    if settings.objective == "ul2":
        account["rows_by_denoiser"] = np.sum([part.row_kinds for part in parts], axis=0).tolist()
    return account


def _parts(splits: dict[str, list[SplitShard]]) -> dict[str, list[dict[str, Any]]]:
    """The account of each part: ids + separators + carried = row_ids + left_over."""
    return {
        name: [
            {
                "file": part.file,
                "documents": part.documents,
                "ids": part.ids_encoded,
                "separators": part.separators,
                "carried": part.carried,
                "rows": part.rows,
                "row_ids": part.row_ids,
                "left_over": part.tail.num_ids,
            }
            for part in parts
        ]
        for name, parts in splits.items()
    }


def unigram_entropy_nats(counts: Sequence[int] | npt.NDArray[np.integer]) -> float:
    """Entropy of the distribution with these counts: the loss of a model that knows only how often each id occurs."""
    present = [int(count) for count in counts if count]
    total = sum(present)
    return -math.fsum(n / total * math.log(n / total) for n in present) if total else 0.0
