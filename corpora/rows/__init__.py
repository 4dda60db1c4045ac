"""Reading packed shards, without torch.

dataset       ShardRows: batches of numpy arrays           stream        order, ranks, states: shared by datasets
shards        a folder: its facts, files and splits         split_reader  one split, a Parquet row group at a time
order         the order of an epoch                         windows       row groups in memory, read ahead
batches       from windows to one rank's batches            prefetch      batches made ahead in a thread
fresh_noise   causal rows with new noise in each epoch      pages         ids straight from Parquet pages
documents     which document an id is in                    columns       names of columns
recycling     reused memory of batches                      one_thread    a thread that ends with its owner
origin        the file and number of a row
blend         several folders with weights                  mixture       the order of the rows of several sources
mixed_batches one rank's batches of several folders         mixing/       weights by hand, by temperature, by UniMax
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpora.rows.dataset import ShardRows
    from corpora.rows.shards import Shards, read_shards

__all__ = ["ShardRows", "Shards", "read_shards"]


def __getattr__(name: str) -> object:
    """Imports numpy and pyarrow only when a name that needs them is used (PEP 562)."""
    if name == "ShardRows":
        from corpora.rows.dataset import ShardRows

        return ShardRows
    if name in __all__:
        from corpora.rows import shards

        return getattr(shards, name)
    raise AttributeError(f"module 'corpora.rows' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
