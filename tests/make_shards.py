"""Tiny shards and a tiny tokenizer for the trainer's tests: real files, made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from corpora import files, manifest
from corpora.manifest import MadeFrom
from corpora.tokens.causal import Ragged
from corpora.tokens.shards import SCALAR, ShardWriter

VOCAB_SIZE = 64
NUM_SENTINELS = 4
MODEL = f"""
[model]
vocab_size = {VOCAB_SIZE}
d_model = 16
d_ff = 32
d_kv = 8
num_heads = 2
num_layers = 1
num_decoder_layers = 1

[train]
steps = 3
batch_size = 4
num_threads = 1
"""
"""Sections of a recipe: a T5 for these shards, and three steps."""


def make_tokenizer(folder: Path, salt: str = "") -> Path:
    """A tokenizer of VOCAB_SIZE whole words, the sentinels at the top, that AutoTokenizer loads."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    sentinels = [f"<extra_id_{n}>" for n in range(NUM_SENTINELS)]
    words = [f"palabra{salt}{n}" for n in range(VOCAB_SIZE - 3 - NUM_SENTINELS)]
    names = ["<pad>", "</s>", "<unk>", *words, *reversed(sentinels)]
    tokenizer = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=sentinels,
    )
    fast.save_pretrained(folder)
    return folder


def write_part(path: Path, columns: dict[str, np.ndarray], group_rows: int, *, borders: bool = False) -> None:
    """Columns [rows, width], or [rows], in row groups. borders: each row is one document."""
    specs = {name: (c.shape[1] if c.ndim == 2 else SCALAR, c.dtype) for name, c in columns.items()}
    with ShardWriter(path, specs | ({"document_starts": (None, np.int32)} if borders else {})) as writer:
        for first in range(0, len(columns["input_ids"]), group_rows):
            group = {name: c[first : first + group_rows] for name, c in columns.items()}
            count = len(group["input_ids"])
            starts = Ragged(np.arange(count + 1, dtype=np.int32), np.zeros(count, np.int32))
            writer.write(group | ({"document_starts": starts} if borders else {}))


def make_shards(
    folder: Path,
    *,
    rows: dict[str, int] | None = None,
    widths: tuple[int, int] = (16, 6),
    parts: int = 2,
    group_rows: int = 5,
    vocab_size: int = VOCAB_SIZE,
    tokenizer: Path | None = None,
    seed: int = 0,
    dtype: type = np.uint16,
    objective: str = "span-corruption",
    borders: bool = True,
    scalars: dict[str, int] | None = None,
    **facts: object,
) -> Path:
    """Finished shards of `parts` files a split. The first two ids of a row's input are its number: n // 50 + 3 and
    n % 50 + 3; its labels repeat the first ids of its input, so that there is something to learn. `scalars` are
    columns of one value. Causal rows are one document each; borders: whether they say so."""
    rows = rows or {"train": 23, "validation": 7}
    generator = np.random.default_rng(seed)
    made = MadeFrom(stage="shards", algorithm=1, settings={"seed": seed}, inputs=[])
    manifest.begin(folder, made)
    records = []
    for split, count in rows.items():
        columns = _columns(generator, count, widths, vocab_size, dtype, scalars or {})
        if objective == "causal":
            del columns["labels"]
        for part, chosen in enumerate(np.array_split(np.arange(count), parts)):
            if not len(chosen):
                continue
            path = folder / split / f"part-{part:05d}.parquet"
            chosen_columns = {name: column[chosen] for name, column in columns.items()}
            write_part(path, chosen_columns, group_rows, borders=borders and objective == "causal")
            records.append(manifest.record(folder, path, rows=len(chosen)))
    known = _facts(vocab_size, objective, widths) | {"rows": rows}
    if tokenizer:
        known["tokenizer_sha256"] = files.sha256(tokenizer / "tokenizer.json")
    manifest.finish(folder, records=records, facts=known | facts)
    return folder


def _facts(vocab_size: int, objective: str, widths: tuple[int, int]) -> dict[str, object]:
    return {
        "tokenizer_sha256": "0" * 64,
        "vocab_size": vocab_size,
        "objective": objective,
        "sequence_length": widths[0],
        "raw_length": widths[0],
        "label_length": widths[1] if objective != "causal" else None,
        "pad_id": 0,
        "eos_id": 1,
        "sentinel_ids": {"first": vocab_size - 1, "step": -1, "count": NUM_SENTINELS},
        "target_unigram_entropy_nats": 3.5,
    }


def _columns(
    generator: np.random.Generator,
    count: int,
    widths: tuple[int, int],
    vocab_size: int,
    dtype: type,
    scalars: dict[str, int],
) -> dict[str, np.ndarray]:
    inputs = generator.integers(3, vocab_size - NUM_SENTINELS, (count, widths[0])).astype(dtype)
    inputs[:, 0], inputs[:, 1] = np.arange(count) // 50 + 3, np.arange(count) % 50 + 3
    inputs[:, -1] = 1
    labels = np.concatenate([inputs[:, : widths[1] - 1], inputs[:, -1:]], axis=1)
    return {"input_ids": inputs, "labels": labels} | {
        name: np.full(count, value, np.int32) for name, value in scalars.items()
    }


def row_numbers(batch: dict[str, object]) -> list[int]:
    """The numbers of a batch's rows."""
    ids = batch["input_ids"]
    return [(int(a) - 3) * 50 + int(b) - 3 for a, b in ids[:, :2]]  # type: ignore[index]


def make_home(folder: Path, model: str) -> Path:
    """What `tamiz train` takes: `shards`, their `tokenizer`, and `m.toml` with the text of a model."""
    make_shards(folder / "shards", tokenizer=make_tokenizer(folder / "tokenizer"))
    (folder / "m.toml").write_text(model)
    return folder
