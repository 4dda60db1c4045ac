"""`tamiz run`: runs a recipe's stages in order. Fingerprints decide what is skipped, continued or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from corpora import files, manifest
from corpora.changes import differences
from corpora.documents.item import WorkItem
from corpora.errors import BadArgument, DamagedFile, ShareDone, StaleOutput
from corpora.home import Home, Place
from corpora.locks import locked
from corpora.manifest import MadeFrom
from tamiz import before
from tamiz.console import say
from tamiz.log import log, without_secret
from tamiz.mirror import worked_in
from tamiz.recipes.schema import SAVED
from tamiz.stages import Context, Plan, Recipe, Stage, StageReport, ordered
from tamiz.verify import is_described, verify


class Run:
    """A run of one recipe in one output folder."""

    def __init__(self, recipe: Recipe, out: Place, context: Context) -> None:
        self.plan = Plan(recipe, _place(out), tuple(stage for stage in ordered() if stage.runs_in(recipe)))
        self.context = context
        self._redoing = False

    def stages(self, until: str | None = None) -> list[StageReport]:
        """Runs the recipe's stages up to and including `until`.

        Errors of a stage are not caught; the next run continues with that stage.
        """
        chosen = self._chosen(until)
        items = self._check_inputs(chosen)
        with locked(self.plan.out, "run", shared=self.context.runner.share is not None):
            self._owner()
            for line in before.lines(self.plan, chosen, items):
                say(line)
            return self._stages(chosen)

    def _stages(self, chosen: tuple[Stage, ...]) -> list[StageReport]:
        self._claim()
        reports = []
        for number, stage in enumerate(chosen, 1):
            say(f"[{number}/{len(chosen)}] {stage.name}")
            with log.stage(stage.name) as ended:
                report = self._stage(stage)
                ended(report)
            if report.state == "finished":
                say("  already finished")
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
        if self.context.runner.share is not None and not stage.shared:
            return self._unshared(stage, self.context.runner.share)
        if not self.context.rebuild or self._redoing:
            return self._run(stage, rebuild=self._redoing)
        try:
            _check_intact(self.plan.out / stage.folder)
            return self._run(stage, rebuild=False)
        except (StaleOutput, DamagedFile) as error:
            say(f"  redone: {str(error).partition('; pass --rebuild')[0]}")  # which was passed
            self._redoing = True
            return self._run(stage, rebuild=True)

    def _run(self, stage: Stage, *, rebuild: bool) -> StageReport:
        """Runs a stage where its output belongs, or in a local folder that is sent there."""
        runner = self.context.runner if stage.shared else msgspec.structs.replace(self.context.runner, share=None)
        context = replace(self.context, rebuild=rebuild, runner=runner)
        if stage.anywhere or Home.of(self.plan.out).is_local:
            return stage.run(self.plan, context)
        home = self.plan.out / stage.folder
        with worked_in(home, "run") as folder:
            local = {**self.plan.local, stage.name: folder}
            self.plan = replace(self.plan, local=local)  # for the stages that come after it
            return replace(stage.run(self.plan, context), folder=home)

    def _unshared(self, stage: Stage, share: tuple[int, int]) -> StageReport:
        """A stage whose work isn't parted: the first share does it, the others go on once it is there."""
        if share[0] > 1 and not _is_complete(self.plan.out / stage.folder):
            raise ShareDone(
                f"share {share[0]}/{share[1]} ends before {stage.name}, whose work can't be parted: share "
                f"1/{share[1]} does it, or the same command without --share; then start the shares again"
            )
        return self._run(stage, rebuild=False)

    def _check_inputs(self, chosen: tuple[Stage, ...]) -> list[WorkItem]:
        """The documents' items. Raises errors for patterns that match no files, and for a missing network."""
        items = self.plan.items(self.plan.recipe.inputs) if any(stage.reads for stage in chosen) else []
        for stage in chosen:
            self._check_before(stage)
        return items

    def _check_before(self, stage: Stage) -> None:
        """With --rebuild, a damaged output of the stage itself is no obstacle: the stage makes it again."""
        if stage.before is None:
            return
        try:
            stage.before(self.plan)
        except DamagedFile:
            if not self.context.rebuild or _is_intact(self.plan.out / stage.folder):
                raise

    def _owner(self) -> None:
        """Raises StaleOutput if the folder belongs to another recipe; says what differs from its last run."""
        out = self.plan.out
        if not manifest.is_tamiz_folder(out):
            return
        home = manifest.read(out).made_from
        owner = home.settings.get("recipe") if home.stage == "run" else None
        if owner != self.plan.recipe.name:
            of = f"a run of {owner}" if owner else f"of stage {home.stage!r}"
            again = f", or continue that run with `tamiz run {out}`" if owner else ""
            raise StaleOutput(f"{out} is {of}, not a run of {self.plan.recipe.name}: choose another --out{again}")
        changed = _changed(Home.of(out), self._plain())
        if changed:
            say(f"{out} was last run with another recipe ({changed}): `tamiz run {out}` repeats that run")

    def _claim(self) -> None:
        """Claims the folder for this recipe, or continues if the recipe owns it already."""
        name, out = self.plan.recipe.name, self.plan.out
        made_from = MadeFrom(stage="run", algorithm=1, settings={"recipe": name}, inputs=[])
        if manifest.is_finished(out, made_from):
            if Home.of(out).is_local:
                files.remove_temporary(out)
            return
        manifest.begin(out, made_from)
        self._record()

    def _record(self) -> None:
        """Writes recipe.json, the resolved recipe, and the manifest of the whole folder."""
        with Home.of(self.plan.out).writing(SAVED) as file:
            file.path.write_bytes(msgspec.json.format(msgspec.json.encode(self._plain()), indent=1) + b"\n")
        manifest.finish(self.plan.out, records=[file.record()])

    def _plain(self) -> dict[str, Any]:
        """The recipe as plain data, without secrets in addresses."""
        plain: dict[str, Any] = _public(msgspec.json.decode(msgspec.json.encode(self.plan.recipe.asdict())))
        return plain


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _public(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_public(inner) for inner in value]
    return without_secret(value) if isinstance(value, str) and "://" in value else value


def _changed(home: Home, plain: dict[str, Any]) -> str:
    """How this recipe differs from that of the last run: `train.steps: 20 -> 40`; empty if they agree."""
    try:
        old = msgspec.json.decode(home.read_bytes(SAVED), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return ""
    said = {"sources": None, "published": None}  # which decide nothing
    return differences({**old, **said}, {**plain, **said})


def _check_intact(folder: Place) -> None:
    """Raises DamagedFile if a finished stage differs from its manifest."""
    home = Home.of(folder)
    whole = home.exists(manifest.NAME)
    inner = [name for name in home.entries() if name.count("/") == 1 and name.endswith(f"/{manifest.NAME}")]
    if inner and not whole:  # shards by source, some of which may be unfinished
        for name in sorted(inner):
            _check_intact(home / name.partition("/")[0])
        return
    if not is_described(home) or (whole and not manifest.read(home).finished):
        return
    problems = verify(home)[1]
    if problems:
        raise DamagedFile(problems[0])


def _is_complete(folder: Place) -> bool:
    home = Home.of(folder)
    return is_described(home) and (not home.exists(manifest.NAME) or manifest.read(home).finished)


def _is_intact(folder: Place) -> bool:
    try:
        _check_intact(folder)
    except DamagedFile:
        return False
    return True


def _place(out: Place) -> Path | Home:
    """Stages make paths from a local folder."""
    home = Home.of(out)
    return home.folder if home.is_local else home
