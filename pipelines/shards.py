"""Shards: documents -> packed training rows, every token accounted for."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.documents.items import WorkItem, work_items
from corpora.documents.reading import read_batches
from corpora.documents.rejected import RejectedWriter
from corpora.encoding import Encoder, load_encoder
from corpora.manifest import MadeFrom, record
from corpora.tokens.build import build_item, finish_tails
from corpora.tokens.settings import ShardSettings
from pipelines.once import ItemResult
from pipelines.runners import Progress, WorkOnItems
from pipelines.settings import RunnerSettings
from pipelines.stage import Finish, Outcome, input_identities, run_stage, settings_dict

ALGORITHM = 1
ITEM_BYTES = 64 << 20


@functools.lru_cache(maxsize=1)
def _load(tokenizer: str) -> Encoder:
    return load_encoder(tokenizer)


_loading = threading.Lock()


def _encoder(tokenizer: str) -> Encoder:
    """One encoder per process, shared by its threads."""
    with _loading:
        return _load(tokenizer)
