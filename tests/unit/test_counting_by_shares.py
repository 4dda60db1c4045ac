"""Shares that begin together count the lines of their own items, and find the counts of the others."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from pipelines import row_numbers
from pipelines.settings import RunnerSettings
from pipelines.shares import of_share

SHARES = 3


@pytest.fixture
def items(tmp_path: Path) -> list[WorkItem]:
    for name in "ab":
        lines = [f'{{"text": "{name} {number}"}}\n' for number in range(600)]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    return work_items([str(tmp_path / "*.jsonl")], 500)


def test_each_share_counts_its_own_first(items: list[WorkItem]) -> None:
    for number in range(1, SHARES + 1):
        share = number, SHARES
        turned = row_numbers._own_first(items, share)
        mine = of_share(items, share)
        assert turned[: len(mine)] == mine
        assert sorted(turned, key=lambda item: item.number) == items
    assert row_numbers._own_first(items, None) == items


SHARE = """
import sys, time
from pathlib import Path
from corpora.documents.items import work_items
from corpora.documents.row_numbers import count_lines
from pipelines import row_numbers
from pipelines.settings import RunnerSettings
folder, share, shares = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
counted = []
def slowly(item):
    counted.append(item.number)
    time.sleep(0.1)
    return count_lines(item)
row_numbers.count_lines, row_numbers.FEW = slowly, 0
(folder / f"ready-{share}").touch()
while len(list(folder.glob("ready-*"))) < shares:
    time.sleep(0.01)
items = work_items([str(folder / "*.jsonl")], 500)
found = row_numbers.with_rows(items, str(folder / "out"), RunnerSettings(share=(share, shares)))
print(len(counted), *(item.first_row for item in found))
"""


def test_together_they_count_about_once(items: list[WorkItem], tmp_path: Path) -> None:
    alone = row_numbers.with_rows(items, str(tmp_path / "alone"), RunnerSettings())
    command = [sys.executable, "-c", SHARE, str(tmp_path)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen([*command, str(number), str(SHARES)], stdout=subprocess.PIPE, text=True)
            )
            for number in range(1, SHARES + 1)
        ]
        outputs = [process.communicate(timeout=120)[0].split() for process in started]
    assert [rows for _, *rows in outputs] == [
        [str(item.first_row) for item in alone if isinstance(item, WorkItem)]
    ] * SHARES
    counted = [int(number) for number, *_ in outputs]
    assert len(items) <= sum(counted) < 1.5 * len(items)
    assert max(counted) < 0.75 * len(items)
