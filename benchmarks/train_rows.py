"""Rows for `benchmarks.train`, made on the spot: random ids in shards of the right shape, and a tokenizer of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.train_shapes import Shape
from corpora import files, manifest
from corpora.manifest import MadeFrom
from corpora.tokens.causal import Ragged
from corpora.tokens.shards import ShardWriter

PAD, EOS, FIRST = 0, 1, 3  # ids below FIRST: pad, EOS, unknown
GROUP_ROWS = 64
MOST_ROWS = 4096  # more are read in further epochs


def make_tokenizer(folder: Path, vocab_size: int) -> Path:
    """A tokenizer of so many whole words, for shards need one."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    names = ["<pad>", "</s>", "<unk>", *(f"w{n}" for n in range(FIRST, vocab_size))]
    whole = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=whole, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.save_pretrained(folder)
    return folder


def make_rows(folder: Path, tokenizer: Path, shape: Shape, vocab_size: int, rows: int) -> Path:
    """Shards with rows of random ids by Zipf's law, each document ending with EOS; all rows are full."""
    rows = min(MOST_ROWS, -(-rows // GROUP_ROWS) * GROUP_ROWS)
    generator = np.random.default_rng(0)
    share = 1.0 / np.arange(10, vocab_size - FIRST + 10)
    dtype = np.uint16 if vocab_size <= 65536 else np.uint32
    ids = generator.choice(np.arange(FIRST, vocab_size), (rows, shape.tokens), p=share / share.sum()).astype(dtype)
    starts = np.linspace(0, shape.width, shape.documents, endpoint=False).astype(np.int32)
    inputs, labels = ids[:, : shape.width], ids[:, shape.width :]
    inputs[:, [*(starts[1:] - 1), -1]] = EOS
    columns = {"input_ids": inputs}
    if shape.targets:
        labels[:, -1] = EOS
        columns["labels"] = labels
    manifest.begin(folder, MadeFrom(stage="shards", algorithm=1, settings={"seed": 0}, inputs=[]))
    path = folder / "train" / "part-00000.parquet"
    _write(path, columns, starts, borders=not shape.targets)
    facts: dict[str, Any] = {
        "tokenizer_sha256": files.sha256(tokenizer / "tokenizer.json"), "vocab_size": vocab_size,
        "objective": "span-corruption" if shape.targets else "causal", "sequence_length": shape.width,
        "raw_length": shape.width, "label_length": shape.targets or None, "pad_id": PAD, "eos_id": EOS,
        "rows": {"train": rows},
    }  # fmt: skip
    manifest.finish(folder, records=[manifest.record(folder, path, rows=rows)], facts=facts)
    return folder


def _write(path: Path, columns: dict[str, np.ndarray], starts: np.ndarray, *, borders: bool) -> None:
    """starts: of the documents, the same in each row."""
    specs: dict[str, Any] = {name: (column.shape[1], column.dtype) for name, column in columns.items()}
    with ShardWriter(path, specs | ({"document_starts": (None, np.int32)} if borders else {})) as writer:
        for first in range(0, len(columns["input_ids"]), GROUP_ROWS):
            group: dict[str, Any] = {name: column[first : first + GROUP_ROWS] for name, column in columns.items()}
            if borders:
                ends = np.arange(len(group["input_ids"]) + 1, dtype=np.int32) * len(starts)
                group["document_starts"] = Ragged(ends, np.tile(starts, len(group["input_ids"])))
            writer.write(group)
