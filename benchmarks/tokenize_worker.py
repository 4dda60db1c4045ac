"""One process of `benchmarks.tokenize`: python -m benchmarks.tokenize_worker ROLE FOLDER

FOLDER has request.json (the tokenizer's path, and that of its tokenizer.json) and texts.json, warming.json (lists of
documents). Writes ROLE.json (seconds of CPU time, bytes of memory, the engine) and ROLE*.npz (ids) there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.score_worker import MEMORY

Result = dict[str, Any]
BATCH = 1000  # documents: what datasets.map gives a tokenizer at once


def record(folder: Path, request: dict[str, str]) -> Result:
    """The engine of record, by the product's `encode_batch`."""
    from corpora.encoding import load_encoder

    texts, encoder = _texts(folder, "texts"), load_encoder(request["tokenizer"])
    encoder.encode_batch(texts[:1])
    begun = time.process_time()
    parts = [ids for batch in _batches(texts) for ids in encoder.encode_batch(batch)]
    seconds = time.process_time() - begun
    _save(folder / "record.npz", np.concatenate(parts), [len(part) for part in parts])
    return {"record": seconds}


def tokenizers(folder: Path, request: dict[str, str]) -> Result:
    """Hugging Face's library on tokenizer.json, lists of ids as `datasets.map` gets them."""
    from tokenizers import Tokenizer

    texts, tokenizer = _texts(folder, "texts"), Tokenizer.from_file(request["json"])
    tokenizer.encode_special_tokens = True
    begun = time.process_time()
    parts = [
        encoding.ids
        for batch in _batches(texts)
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False)
    ]
    seconds = time.process_time() - begun
    _save(folder / "tokenizers.npz", np.concatenate(parts).astype(np.int64), [len(part) for part in parts])
    return {"tokenizers": seconds}


def fastokens(folder: Path, request: dict[str, str]) -> Result:
    """The library fastokens, if it is installed, with one thread: first pass and second pass."""
    os.environ["FASTOKENS_BPE_THREADS"] = "1"
    import fastokens as library

    texts, tokenizer = _texts(folder, "texts"), library.Tokenizer.from_file(request["json"])
    seconds = {}
    for name in ("cold", "second"):
        begun = time.process_time()
        ids, offsets = tokenizer.encode_batch_flat(texts, False, True)
        seconds[name] = time.process_time() - begun
    lengths = np.diff(np.frombuffer(offsets, np.uint64)).tolist()
    _save(folder / "fastokens.npz", np.frombuffer(ids, np.uint32), lengths)
    return seconds


def product(folder: Path, request: dict[str, str]) -> Result:
    """`encode_flat` with an empty word cache, in a second pass, and after other documents. Loads kernels first."""
    from corpora.encoding import load_encoder
    from corpora.texts import utf8

    texts, warming = utf8(_texts(folder, "texts")), utf8(_texts(folder, "warming"))
    encoder = load_encoder(request["tokenizer"])
    result: Result = {"engine": encoder.engine}  # loads the kernels, and checks them on a sample
    for name in ("cold", "second"):
        begun = time.process_time()
        found = encoder.encode_flat(texts)
        result[name] = time.process_time() - begun
        _save(folder / f"product-{name}.npz", found.ids, np.diff(found.offsets).tolist())
    encoder = load_encoder(request["tokenizer"])
    encoder.encode_flat(warming)
    begun = time.process_time()
    found = encoder.encode_flat(texts)
    result["warm"] = time.process_time() - begun
    _save(folder / "product-warm.npz", found.ids, np.diff(found.offsets).tolist())
    return result


def _batches(texts: list[str]) -> list[list[str]]:
    return [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]


def _texts(folder: Path, name: str) -> list[str]:
    texts: list[str] = json.loads((folder / f"{name}.json").read_text())
    return texts


def _save(path: Path, ids: np.ndarray, lengths: list[int]) -> None:
    np.savez(path, ids=ids.astype(np.uint32), lengths=np.array(lengths, np.int64))


def _memory() -> float:
    """Bytes: the peak of resident memory."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(lines[MEMORY["memory"]].split()[0]) * 1024


def main() -> None:
    role, folder = sys.argv[1], Path(sys.argv[2])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    roles = {"record": record, "tokenizers": tokenizers, "fastokens": fastokens, "product": product}
    measured = roles[role](folder, json.loads((folder / "request.json").read_text()))
    (folder / f"{role}.json").write_text(json.dumps({**measured, "memory": _memory()}))


if __name__ == "__main__":
    main()
