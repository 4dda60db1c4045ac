"""Uploads that are killed: the repository is the old or the new one, and only what is missing travels again."""

from __future__ import annotations

import pytest

from tests.loopback_hub import LoopbackHub
from tests.uploads import killed_uploads


@pytest.mark.parametrize("way", ["lfs", "xet"])
def test_killed_uploads(tmp_path, way):
    with LoopbackHub(way, tmp_path / "hub") as hub:
        found = list(killed_uploads(hub, tmp_path / "x", 4, seed=5))
    assert [each["whole"] for each in found] == [True] * 4, found
    assert [each["twice"] for each in found] == [0] * 4, found
    assert [each["commits"] for each in found] == [4, 5, 6, 7]
    assert any(each["killed"] and each["state"] == "old" for each in found)
    sent = 20 * 20_000
    assert all(sent <= each["sent"] <= sent * (1 if way == "lfs" else 1.05) for each in found), found
