"""What tests of reading from the Hub share: a loopback Hub that this process reads from, patient for milliseconds."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.hub import client, pacing, tree, tries
from tests.loopback_hub import LoopbackHub

QUICK = replace(
    tries.PATIENCE, read=0.5, first_pause=0.01, longest_pause=0.05, no_route_pause=0.01, total=30, tries=6
)


def read_from(hub: LoopbackHub, monkeypatch, folder: Path, token: str | None = None) -> None:
    """Lets this process read from the hub, with an empty cache of its own, as if it had just started."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)  # for a unit that is tried in a process of its own
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hf"))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)
    monkeypatch.setattr(tries, "PATIENCE", QUICK)
    monkeypatch.setattr(client, "pace", pacing.Pace())
    monkeypatch.delenv("TAMIZ_HUB_CACHE", raising=False)
    tree.forget()


def lines(first: int, rows: int) -> bytes:
    """mC4's objects; incompressible enough that a file is longer than one packet."""
    made = [
        {"text": f"Documento {n}: {hash_words(n)}", "timestamp": "2020-01-01T00:00:00Z", "url": f"https://x/{n}"}
        for n in range(first, first + rows)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made).encode()


def hash_words(n: int) -> str:
    return " ".join(f"{(n * 2654435761 + k * 40503) % 2**32:08x}" for k in range(40))


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def parquet(first: int, rows: int, **more: list[object]) -> bytes:
    file = io.BytesIO()
    texts = [f"Documento {n}: {hash_words(n)}" for n in range(first, first + rows)]
    pq.write_table(pa.table({"text": texts, **more}), file, row_group_size=max(1, rows // 2))
    return file.getvalue()
