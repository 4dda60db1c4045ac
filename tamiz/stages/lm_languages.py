"""Several language models in one folder: their reports as one, and whether the files of each are as it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from corpora import lm_json
from corpora.errors import DamagedFile
from corpora.home import Place, exists, of_file
from tamiz.stages.common import StageReport


def check_intact(lm: str) -> None:
    """Raises DamagedFile if a file of a trained model isn't the one that its LM.json records."""
    home, name = of_file(lm)
    described = home.at(f"{name.removesuffix('.bin')}.json")
    for record in lm_json.read(described).files if exists(described) else ():
        if not home.exists(record.path) or home.sha256(record.path) != record.sha256:
            raise DamagedFile(f"{home.at(record.path)} is not the file that {described} records")


def joined(reports: Mapping[str | None, StageReport], folder: Place) -> StageReport:
    """The reports of all languages' models as one. facts: the documents of all, counted."""
    every = list(reports.values())
    states = {report.state for report in every}
    return StageReport(
        "lm",
        "new" if "new" in states else "finished",
        folder,
        list(_rows(reports)),
        [warning for report in every for warning in report.warnings],
        [damaged for report in every for damaged in report.damaged],
        "; ".join(f"{name}: {report.too_many}" for name, report in reports.items() if report.too_many) or None,
        {"documents": _counts([report.facts.get("documents", {}) for report in every])},
    )


def _rows(reports: Mapping[str | None, StageReport]) -> Iterator[tuple[str, str]]:
    for language, report in reports.items():
        yield str(language), "already there" if report.state == "finished" else "done"
        yield from ((f"  {name}", value) for name, value in report.rows)


def _counts(every: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums of the counts of several models; nothing if none was trained."""
    numbers, rejected = Counter[str](), Counter[str]()
    for counts in filter(None, every):
        numbers.update({name: value for name, value in counts.items() if isinstance(value, int)})
        rejected.update(counts.get("rejected", {}))
    return {**numbers, "rejected": dict(rejected)} if numbers else {}
