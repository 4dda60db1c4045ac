"""Uploads that are killed: the repository is the old or the new one, and only what is missing travels again."""

from __future__ import annotations

import pytest

from tests.loopback_hub import LoopbackHub
from tests.uploads import killed_uploads


@pytest.mark.parametrize("way", ["lfs", "xet"])
def test_killed_uploads(tmp_path, way):
    with LoopbackHub(way, tmp_path / "hub") as hub:
        found = list(killed_uploads(hub, tmp_path / "x", 4, seed=5))
    assert sum(each["killed"] for each in found) == 4
    assert [each for each in found if not each["whole"] or each["twice"]] == []
    assert [each["commits"] for each in found] == [*range(4, 4 + len(found))]
    sent = 20 * 20_000
    assert all(sent <= each["sent"] <= sent * (1 if way == "lfs" else 1.05) for each in found), found
