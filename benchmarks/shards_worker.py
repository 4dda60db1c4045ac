"""One process of `benchmarks.shards`: python -m benchmarks.shards_worker ROLE REQUEST OUT

REQUEST is a JSON file: {"input": path, "tokenizer": folder, "name": case}. A role writes its output to OUT and, on
request, stream.npy: the ids of all documents in order, each followed by EOS.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

LENGTH, DENSITY, MEAN = 512, 0.15, 3.0
BATCH = 128  # rows that the collator gets at a time


def hugging_face(request: dict[str, Any], out: Path) -> None:
    """datasets.map: tokenize, group into raw rows; then the collator of transformers' T5 example, batch by batch."""
    rows, eos_first = grouped(request, out)
    width = rows.shape[1]
    collate = Collator(width, len_tokenizer=request["vocab_size"], eos_id=eos_first)
    for begin in range(0, len(rows), BATCH):
        collate(rows[begin : begin + BATCH])


def grouped(request: dict[str, Any], out: Path) -> tuple[np.ndarray, int]:
    """Rows of raw ids with T5's length, as in run_t5_mlm_flax.py; the remainder of each batch is dropped."""
    import datasets
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(request["tokenizer"])
    datasets.disable_progress_bars()
    texts = datasets.load_dataset(
        "json", data_files=request["input"], split="train", cache_dir=str(out / "cache")
    ).select_columns(["text"])

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {"input_ids": tokenizer(batch["text"], return_attention_mask=False)["input_ids"]}

    from tests.reference.t5_span_corruption import random_spans_helper

    width = random_spans_helper(LENGTH, DENSITY, MEAN)[0]

    def group(batch: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        joined = [i for ids in batch["input_ids"] for i in ids]
        total = len(joined) // width * width
        return {"input_ids": [joined[i : i + width] for i in range(0, total, width)]}

    encoded = texts.map(tokenize, batched=True, remove_columns=texts.column_names)
    if request.get("keep_stream"):
        np.save(out / "stream.npy", np.concatenate([np.array(ids, np.uint16) for ids in encoded["input_ids"]]))
    rows = encoded.map(group, batched=True).with_format("numpy")
    return np.stack(rows[:]["input_ids"]) if len(rows) else np.empty((0, width)), tokenizer.eos_token_id


class Collator:
    """Does the same as FlaxDataCollatorForT5MLM with a batch of raw rows, in the same way: row by row, in numpy."""

    def __init__(self, width: int, len_tokenizer: int, eos_id: int) -> None:
        self._width, self._top, self._eos = width, len_tokenizer, eos_id
        self._random = np.random.default_rng(0)

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        masks = np.asarray([self.mask() for _ in range(len(rows))])
        return (
            self.filtered(rows, self.sentinels(masks.astype(np.int8))),
            self.filtered(rows, self.sentinels((~masks).astype(np.int8))),
        )

    def mask(self) -> np.ndarray:
        noise = min(max(round(self._width * DENSITY), 1), self._width - 1)
        spans = max(round(noise / MEAN), 1)
        lengths = [self.segments(items, spans) for items in (noise, self._width - noise)]
        interleaved = np.reshape(np.stack(lengths[::-1], axis=1), [2 * spans])
        starts = np.cumsum(interleaved)[:-1]
        indicator = np.zeros(self._width, np.int8)
        indicator[starts] = True
        return np.equal(np.cumsum(indicator) % 2, 1)

    def segments(self, items: int, count: int) -> np.ndarray:
        begun = np.arange(items - 1) < (count - 1)
        self._random.shuffle(begun)
        numbers = np.cumsum(np.pad(begun, [[1, 0]]))
        return np.unique(numbers, return_counts=True)[1]

    def sentinels(self, masks: np.ndarray) -> np.ndarray:
        starts = masks - np.roll(masks, 1, axis=-1) * masks
        starts[:, 0] = masks[:, 0]
        numbers = np.where(starts != 0, np.cumsum(starts, axis=-1), starts)
        numbers = np.where(numbers != 0, self._top - numbers, 0)
        return numbers - (masks - starts)

    def filtered(self, rows: np.ndarray, sentinels: np.ndarray) -> np.ndarray:
        full = np.where(sentinels != 0, sentinels, rows)
        kept = full[full >= 0].reshape((len(rows), -1))
        return np.concatenate([kept, np.full((len(rows), 1), self._eos, np.int32)], axis=-1)


def datatrove(request: dict[str, Any], out: Path) -> None:
    """JsonlReader, then DocumentTokenizer, in this process."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer
    from loguru import logger

    logger.remove()
    path = Path(request["input"])
    reader = JsonlReader(str(path.parent), glob_pattern=path.name)
    writer = DocumentTokenizer(
        str(out / "tokens"), str(Path(request["tokenizer"]) / "tokenizer.json"), eos_token=request["eos_token"],
        shuffle_documents=False, save_final_metadata=False,
    )  # fmt: skip
    LocalPipelineExecutor([reader, writer], tasks=1, logging_dir=str(out / "logs")).run()
    if request.get("keep_stream"):
        (found,) = (out / "tokens").glob("*.ds")
        np.save(out / "stream.npy", np.fromfile(found, np.uint16))


def corruption(request: dict[str, Any], out: Path) -> None:
    """Rows per second of span corruption alone, by tamiz and by the collator, on the same raw rows."""
    from corpora.randomness import keys
    from corpora.tokens import span_corruption

    shape = span_corruption.row_shape(LENGTH, DENSITY, MEAN)
    top = request["vocab_size"]
    rows = np.load(request["rows"])
    sentinels = np.arange(top - 1, top - 101, -1).astype(np.uint16)
    collate, found = Collator(shape.raw_length, top, 1), {"ours": 0.0, "collator": 0.0}
    for _ in range(3):
        begun = time.process_time()
        for first in range(0, 20 * BATCH, BATCH):
            collate(rows[first : first + BATCH])
        found["collator"] = max(found["collator"], 20 * BATCH / (time.process_time() - begun))
        span_corruption.corrupt_keyed(rows[:2], keys(0, 0, 2), shape, sentinels=sentinels, eos_id=1)
        begun = time.process_time()
        span_corruption.corrupt_keyed(rows, keys(0, 0, len(rows)), shape, sentinels=sentinels, eos_id=1)
        found["ours"] = max(found["ours"], len(rows) / (time.process_time() - begun))
    (out / "corruption.json").write_text(json.dumps(found))


def main() -> None:
    role, request, out = sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    {"hugging_face": hugging_face, "datatrove": datatrove, "corruption": corruption}[role](request, out)


if __name__ == "__main__":
    main()
