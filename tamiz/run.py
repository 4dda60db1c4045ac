"""`tamiz run`: runs a recipe's stages in order. Fingerprints decide what is skipped, continued or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from corpora import files, manifest
from corpora.documents.items import work_items
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.locks import locked
from corpora.manifest import MadeFrom
from tamiz.console import say
from tamiz.log import log
from tamiz.stages import Context, Plan, Recipe, Stage, StageReport, ordered
from tamiz.verify import is_described, verify


class Run:
    """A run of one recipe in one output folder."""

    def __init__(self, recipe: Recipe, out: Path, context: Context) -> None:
        self.plan = Plan(recipe, out, tuple(stage for stage in ordered() if stage.runs_in(recipe)))
        self.context = context
        self._redoing = False

    def stages(self, until: str | None = None) -> list[StageReport]:
        """Runs the recipe's stages up to and including `until`.

        Errors of a stage are not caught; the next run continues with that stage.
        """
        chosen = self._chosen(until)
        self._check_inputs(chosen)
        with locked(self.plan.out, "run"):
            return self._stages(chosen)

    def _stages(self, chosen: tuple[Stage, ...]) -> list[StageReport]:
        self._claim()
        reports = []
        for number, stage in enumerate(chosen, 1):
            say(f"[{number}/{len(chosen)}] {stage.name}")
            with log.stage(stage.name) as ended:
                report = self._stage(stage)
                ended(report)
            reports.append(report)
        self._record()  # only now: a refused run leaves the old recipe in place
        return reports

    def _chosen(self, until: str | None) -> tuple[Stage, ...]:
        names = [stage.name for stage in self.plan.stages]
        if until is None:
            return self.plan.stages
        if until not in names:
            raise BadArgument(f"--until {until}: the stages of {self.plan.recipe.name} are {', '.join(names)}")
        return self.plan.stages[: names.index(until) + 1]

    def _stage(self, stage: Stage) -> StageReport:
        """With --rebuild, redoes the first stage that is damaged or made from something else, and all after it."""
        if not self.context.rebuild or self._redoing:
            return stage.run(self.plan, replace(self.context, rebuild=self._redoing))
        try:
            _check_intact(self.plan.out / stage.folder)
            return stage.run(self.plan, replace(self.context, rebuild=False))
        except (StaleOutput, DamagedFile) as error:
            say(f"  redone: {str(error).partition('; pass --rebuild')[0]}")  # which was passed
            self._redoing = True
            return stage.run(self.plan, replace(self.context, rebuild=True))

    def _check_inputs(self, chosen: tuple[Stage, ...]) -> None:
        """Raises errors for patterns that match no files, and for a missing network, before any work."""
        if any(stage.reads for stage in chosen):
            work_items(self.plan.recipe.inputs)
        for stage in chosen:
            if stage.before:
                stage.before(self.plan)

    def _claim(self) -> None:
        """Claims the folder for this recipe, or continues if the recipe owns it already."""
        name, out = self.plan.recipe.name, self.plan.out
        made_from = MadeFrom(stage="run", algorithm=1, settings={"recipe": name}, inputs=[])
        try:
            if manifest.is_finished(out, made_from):
                files.remove_temporary(out)
                return
            manifest.begin(out, made_from)
        except StaleOutput:
            if not (out / manifest.NAME).exists():
                raise
            old = manifest.read(out)
            held = f"a run of {old.made_from.settings.get('recipe')}" if old.stage == "run" else f"from {old.stage}"
            raise StaleOutput(f"{out} is not a run of {name} but {held}: choose another --out") from None
        self._record()

    def _record(self) -> None:
        """Writes recipe.json, the resolved recipe, and the manifest of the whole folder."""
        path = self.plan.out / "recipe.json"
        plain = msgspec.json.encode(self.plan.recipe.asdict())
        files.write_bytes(path, msgspec.json.format(plain, indent=1) + b"\n")
        manifest.finish(self.plan.out, records=[manifest.record(self.plan.out, path)])


def _check_intact(folder: Path) -> None:
    """Raises DamagedFile if a finished stage differs from its manifest."""
    home = folder / manifest.NAME
    if not is_described(folder) or (home.exists() and not manifest.read(folder).finished):
        return
    problems = verify(folder)[1]
    if problems:
        raise DamagedFile(problems[0])
