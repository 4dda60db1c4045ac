"""Memory of batches comes back when nothing refers to it any more, and not before."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from corpora.rows.recycling import Recycler


@pytest.mark.parametrize("view", [lambda a: a, lambda a: a[0], lambda a: a[:, 1:].T, lambda a: a.reshape(-1)[3:]])
def test_memory_is_reused_only_when_the_last_view_is_gone(view):
    memory = Recycler()
    batch = memory.empty((2, 3))
    batch[:] = 7
    kept = view(batch)
    del batch
    gc.collect()
    memory.empty((2, 3))[:] = 8
    assert (kept == 7).all()


def test_freed_memory_is_reused():
    memory = Recycler()
    batch = memory.empty((2, 3))
    place = batch.ctypes.data
    del batch
    again = memory.empty((2, 3))
    assert again.ctypes.data == place
    assert again.dtype == np.int64
    assert again.flags.writeable
