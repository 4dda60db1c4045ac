"""Stage `export`: writes the trained model in the formats of other programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from corpora import files, manifest
from corpora.config import Config
from corpora.errors import BadArgument, DamagedFile
from corpora.locks import locked
from corpora.manifest import MadeFrom
from tamiz.cards.export import export_card
from tamiz.cards.markdown import add_card
from tamiz.console import say, size
from tamiz.recipes.problems import choice_of, of_table
from tamiz.recipes.schema import Section
from tamiz.stages.common import Context, Costs, Plan, Stage, StageReport
from tamiz.stages.growth import Growth
from tamiz.trainer import require_torch
from tamiz.trainer.exports import EXPORTS, Export, Source, config_of, read_source
from tamiz.trainer.write_errors import system_error

ALGORITHM = 1


class ExportList(Config, frozen=True, kw_only=True):
    """The formats to export the trained model to."""

    to: tuple[str, ...] | str
    """Their names: keras, nf4 or gguf. One needs no list."""
    options: dict[str, dict[str, Any]] = {}  # noqa: RUF012 (msgspec copies it)
    """Settings of a format, by its name, as in [export.options.gguf]."""

    def __post_init__(self) -> None:
        if not self.to:
            raise ValueError("to is empty: name formats, or remove the section")
        for name in self.options:
            if name not in self.names:
                raise ValueError(f"options.{name} is set, but to doesn't name {name}: add it, or remove the options")
        self.chosen()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.to,) if isinstance(self.to, str) else self.to

    def chosen(self) -> list[Export]:
        """The settings of each format. Raises ValueError naming the key."""
        return [self._read(name, self.options.get(name, {})) for name in self.names]

    def _read(self, name: str, given: dict[str, Any]) -> Export:
        if name not in EXPORTS.names():
            raise ValueError(f"to has {name!r}; it must be {choice_of(EXPORTS.names(), name)}")
        place = f"options.{name}"
        wrong = of_table(place, EXPORTS.get(name), given)
        if wrong:
            raise ValueError(" | ".join(wrong))
        try:
            export: Export = EXPORTS.convert({**given, EXPORTS.tag: name})
        except (msgspec.ValidationError, BadArgument) as error:
            raise ValueError(f"{place}.{str(error).partition(' - at `$')[0]}") from None
        return export


def export_stage(model: Path, out: Path, settings: Export, context: Context) -> StageReport:
    """Makes sure that `out` holds the model in another format, with a card."""
    require_torch()
    settings.require()
    source = read_source(model)
    settings.check(source)
    if out.resolve() == model.resolve():
        raise BadArgument(f"--out {out} is the folder of the model: name another")
    with locked(out, "export"):
        known = manifest.known_inputs(out)
        inputs = [manifest.local_identity(path, path.name, known) for path in source.files]
        _check_intact(model, {i.name: i.sha256 for i in inputs})
        made_from = MadeFrom(
            stage="export", algorithm=ALGORITHM, settings=msgspec.to_builtins(settings), inputs=inputs
        )
        state = manifest.begin(out, made_from, rebuild=context.rebuild)
        if state != "finished":
            _write(source, out, settings)
            manifest.finish(out, records=[manifest.record(out, path) for path in _written(out)])
        done = manifest.read(out)
        add_card(out, done, lambda: export_card(source, settings))
    rows = [(settings.title, size(sum(record.bytes for record in done.files)))]
    return StageReport("export", state, out, rows)


def _check_intact(model: Path, found: Mapping[str, str | None]) -> None:
    """Raises DamagedFile if a file of the model isn't what its training wrote."""
    if not manifest.is_tamiz_folder(model):
        return
    for record in manifest.read_finished(model, "train").files:
        if found.get(record.path, record.sha256) != record.sha256:
            raise DamagedFile(f"{model / record.path} differs from the model's {manifest.NAME}: train it again")


def _write(source: Source, out: Path, settings: Export) -> None:
    """Everything is first written to a folder inside, so that an export that fails leaves no file."""
    staging = out / manifest.PROGRESS / "export"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    needed = settings.num_bytes(source)
    name = f"the export to {out}"
    try:
        if needed:
            _take_room(staging, needed)
        settings.write(source, staging)
        for path in sorted(p for p in staging.rglob("*") if p.is_file()):
            path.chmod((source.folder / "config.json").stat().st_mode)
            with files.atomic_path(out / path.relative_to(staging)) as temporary:
                path.replace(temporary)
    except Exception as error:
        cause = system_error(error, staging)
        written = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
        shutil.rmtree(staging)
        if cause is None:
            raise
        count, beyond = max(needed, written), written > needed
        raise files.cannot_write(out / "config.json", cause, count, at_least=beyond, name=name) from error


def _take_room(folder: Path, count: int) -> None:
    """Raises OSError if a file of so many bytes can't be here: not every library survives that."""
    path = folder / "room"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, count)
    path.unlink()


def _written(out: Path) -> list[Path]:
    aside = out / manifest.PROGRESS
    found = [p for p in out.rglob("*") if p.is_file() and aside not in p.parents]
    return sorted(p for p in found if p.name != manifest.NAME and not manifest.is_aside(p))


def _run(plan: Plan, context: Context) -> StageReport:
    reports = []
    for settings in plan.recipe.export.chosen():
        say(f"  {settings.name}")
        reports.append(export_stage(plan.folder("train"), plan.folder("export") / settings.name, settings, context))
    states = {report.state for report in reports}
    state = states.pop() if len(states) == 1 else "continued"
    return StageReport("export", state, plan.folder("export"), [row for report in reports for row in report.rows])


def _before(plan: Plan) -> None:
    """Hours of training mustn't end in a format that can't hold the model, or that isn't installed."""
    require_torch()
    config = config_of(plan.recipe.model)
    for settings in plan.recipe.export.chosen():
        settings.require()
        reason = settings.unfit(type(plan.recipe.model), config)
        if reason:
            raise BadArgument(f"export.to has {settings.name!r}, but the recipe's model {reason}")


STAGE = Stage(
    name="export",
    folder="export",
    title="Export",
    help="the trained model in other formats",
    sections=(Section("export", ExportList),),
    needs=(("train", "add a section [train]"),),
    run=_run,
    before=_before,
    costs=Costs(phases=lambda _: {"": Growth("parameters")}, memory=Growth("parameters"), disk=Growth("parameters")),
)
