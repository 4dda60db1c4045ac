"""`tamiz run`: a recipe's stages, one after the other. Fingerprints decide what is skipped, continued or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from corpora import files, manifest
from corpora.documents.sources import SOURCES
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.manifest import MadeFrom
from corpora.perplexity.routing import LmChoice
from corpora.verify import verify
from tamiz.console import say, warn
from tamiz.recipes.load import patterns
from tamiz.recipes.schema import STAGES, Recipe
from tamiz.stages.common import Context, StageReport
from tamiz.stages.train import require_torch

LM_NAME = "lm.bin"
FOLDERS = dict(zip(STAGES, ("lm", "scores", "sampled", "tokenizer", "shards", "model"), strict=True))


class Run:
    """One recipe in one output folder."""

    def __init__(self, recipe: Recipe, out: Path, context: Context) -> None:
        self.recipe = recipe
        self.out = out
        self.context = context
        self._redoing = False

    def stages(self, until: str | None = None) -> list[StageReport]:
        """Runs the stages up to and with `until`. Raises what a stage raises; the next run continues there."""
        if until is not None and until not in STAGES:
            raise BadArgument(f"--until {until}: the stages are {', '.join(STAGES)}")
        last = STAGES.index(until or STAGES[-1])
        if STAGES[last] == "train":
            require_torch()
        self._check_inputs(last)
        self._claim()
        reports = []
        for number, name in enumerate(STAGES[: last + 1], 1):
            say(f"[{number}/{last + 1}] {name}")
            reports.append(self._stage(name))
        self._record()  # only now: a refused run leaves the old recipe standing
        return reports

    def _stage(self, name: str) -> StageReport:
        """--rebuild redoes the first stage that was made from something else or is damaged, and all after it."""
        work: Callable[[Context], StageReport] = getattr(self, f"_{name}")
        if not self.context.rebuild or self._redoing:
            return work(replace(self.context, rebuild=self._redoing))
        try:
            self._check_intact(name)
            return work(replace(self.context, rebuild=False))
        except (StaleOutput, DamagedFile) as error:
            say(f"  redone: {error}")
            self._redoing = True
            return work(replace(self.context, rebuild=True))

    def _check_intact(self, name: str) -> None:
        """Raises DamagedFile where a finished stage isn't as its manifest says, to the byte."""
        folder = self.out / FOLDERS[name]
        home = folder / manifest.NAME
        if not folder.is_dir() or (home.exists() and not manifest.read(folder).finished):
            return
        if home.exists() or (folder / LM_NAME).with_suffix(".json").exists():
            problems = verify(folder)[1]
            if problems:
                raise DamagedFile(problems[0])

    def _check_inputs(self, last: int) -> None:
        """Patterns that match nothing, and a network that isn't there, are told before any work."""
        from corpora.documents.items import work_items

        if not self.recipe.lm.file:
            work_items(self._lm_input(), self.recipe.score.item_bytes)
        if last >= STAGES.index("score"):
            documents = work_items(self._documents(), self.recipe.score.item_bytes)
            self._warn_of_overlap({item.path for item in documents})

    def _warn_of_overlap(self, documents: set[str]) -> None:
        """Text that a language model has learned looks better to it than any other."""
        from corpora.documents.items import work_items

        if self.recipe.lm.file:
            return
        learned = {item.path for item in work_items(self._lm_input(), self.recipe.score.item_bytes)}
        shared = len(documents & learned)
        if shared:
            warn(
                f"{shared} of {len(documents)} document files are also text of the language model: their perplexity "
                "comes out too low; keep lm.input and documents.input apart"
            )

    def _claim(self) -> None:
        """Makes the folder this recipe's, or continues where it is."""
        made_from = MadeFrom(stage="run", algorithm=1, settings={"recipe": self.recipe.name}, inputs=[])
        try:
            if manifest.is_finished(self.out, made_from):
                return
            manifest.begin(self.out, made_from)
        except StaleOutput as error:
            raise StaleOutput(f"{self.out} is no run of {self.recipe.name}: choose another --out ({error})") from None
        self._record()

    def _record(self) -> None:
        """recipe.json, as resolved, and the manifest of the whole folder."""
        path = self.out / "recipe.json"
        files.write_bytes(path, msgspec.json.format(msgspec.json.encode(self.recipe), indent=1) + b"\n")
        manifest.finish(self.out, records=[manifest.record(self.out, path)])

    def _documents(self) -> list[str]:
        chosen = self.recipe.documents
        return [SOURCES[chosen.source].pattern] if chosen.input is None else patterns(chosen.input)

    def _lm_input(self) -> list[str]:
        lm = self.recipe.lm
        return [SOURCES[lm.source].pattern] if lm.input is None else patterns(lm.input)

    def _lm(self, context: Context) -> StageReport:
        from tamiz.stages.lm import foreign_lm, lm_stage

        lm = self.recipe.lm
        if lm.file:
            return foreign_lm(self._lm_choice())
        share = 1.0 if lm.input else lm.source_share
        return lm_stage(self._lm_input(), self.out / "lm" / LM_NAME, lm, context, share)

    def _lm_choice(self) -> LmChoice:
        lm = self.recipe.lm
        if lm.file:
            return LmChoice(lm.file, None, lm.tokenizer, self.recipe.score.mode, lm.trust)
        return LmChoice(str(self.out / "lm" / LM_NAME), mode=self.recipe.score.mode)

    def _score(self, context: Context) -> StageReport:
        from tamiz.stages.score import score_stage

        return score_stage(self._documents(), [self._lm_choice()], self.out / "scores", self.recipe.score, context)

    def _sample(self, context: Context) -> StageReport:
        from tamiz.stages.sample import sample_stage

        return sample_stage(self._documents(), self.out / "scores", self.out / "sampled", self.recipe.sample, context)

    def _sampled(self) -> list[str]:
        return [str(self.out / "sampled" / f"part-*.{self.recipe.sample.format}")]

    def _tokenizer(self, context: Context) -> StageReport:
        from tamiz.stages.tokenizer import tokenizer_stage

        return tokenizer_stage(self._sampled(), self.out / "tokenizer", self.recipe.tokenizer, context)

    def _shards(self, context: Context) -> StageReport:
        from tamiz.stages.shards import shards_stage

        tokenizer = str(self.out / "tokenizer")
        return shards_stage(self._sampled(), tokenizer, self.out / "shards", self.recipe.shards, context)

    def _train(self, context: Context) -> StageReport:
        from tamiz.cards.model import recipe_facts
        from tamiz.stages.sample import kernels_text
        from tamiz.stages.train import train_stage

        recipe, sampled = self.recipe, manifest.read(self.out / "sampled")
        return train_stage(
            self.out / "shards", self.out / "tokenizer", self.out / "model", recipe.model, recipe.train, context,
            card=recipe_facts(recipe, sampled, kernels_text(sampled.facts)),
        )  # fmt: skip
