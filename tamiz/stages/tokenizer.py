"""Stage `tokenizer`: trains a tokenizer on documents, or uses an existing one."""

from __future__ import annotations

import msgspec

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.sources import Inputs
from corpora.home import Home, Place
from corpora.locks import locked
from corpora.manifest import MadeFrom, Manifest, State
from tamiz.cards.tokenizer import add_tokenizer_card
from tamiz.console import count, progress
from tamiz.recipes.schema import Recipe, Section
from tamiz.stages import brought
from tamiz.stages.common import Context, Costs, Part, Plan, Stage, StageReport, damaged_inputs, with_section
from tamiz.stages.described import languages_of, sources_of
from tamiz.stages.growth import Growth
from tamiz.stages.texts import Texts
from tokenizer_train.settings import TokenizerSettings

ALGORITHM = 2
ITEM_BYTES = 64 << 20


class TokenizerSource(TokenizerSettings, frozen=True, kw_only=True):
    """A tokenizer: trained on the documents, or an existing `file`."""

    file: str | None = None
    """A tokenizer folder, a .model or tokenizer.json file, a folder of GPT-2's two files, byt5, or a tokenizer of the
    Hugging Face Hub (OWNER/NAME or OWNER/NAME@REVISION), which is downloaded."""

    def __post_init__(self) -> None:
        if self.file is None:
            super().__post_init__()
            return
        if not self.file:
            raise ValueError("file is empty: name a tokenizer, or remove it")
        for name, default in TokenizerSettings().asdict().items():
            if getattr(self, name) != default:
                raise ValueError(
                    f"file and {name} exclude each other: file names an existing tokenizer, {name} trains a new one"
                )

    @property
    def training(self) -> TokenizerSettings:
        """Only the settings of the training: the folder's fingerprint covers these."""
        return TokenizerSettings(**{name: getattr(self, name) for name in TokenizerSettings.__struct_fields__})


def tokenizer_stage(
    patterns: Inputs,
    out: Place,
    settings: TokenizerSettings,
    context: Context,
    languages: tuple[str, ...] = (),
    sources: tuple[str, ...] = (),
) -> StageReport:
    """Makes sure that `out` holds the trained tokenizer and its card. languages: codes, and sources: words, for the
    card."""
    items = work_items(patterns, ITEM_BYTES)
    from pipelines.accounts import input_identities, too_many_rejected

    made_from = MadeFrom(
        stage="tokenizer",
        algorithm=ALGORITHM,
        settings=msgspec.to_builtins(settings),
        inputs=input_identities(items, out),
    )
    make = _from_words if settings.learns_from_words else _from_documents
    state, done = make(items, out, made_from, settings, context)
    manifest.require(Home.of(out).at(manifest.NAME), done, manifest.Counts, _Facts)
    add_tokenizer_card(out, done, languages, sources)
    many = too_many_rejected(Home.of(out).at("rejected"), done.counts, context.max_rejected)
    return StageReport("tokenizer", state, out, _rows(done), (), damaged_inputs(done), many, done.facts)


class _Words(msgspec.Struct):
    learned_from: int
    distinct: int


class _Facts(msgspec.Struct):
    """What summary and card show."""

    kind: str
    vocab_size: int
    documents: int
    words: _Words | None = None


def _rows(done: Manifest) -> list[tuple[str, str]]:
    rows = [
        ("ids", count(done.facts["vocab_size"])),
        ("documents it learned from", count(done.facts["documents"])),
    ]
    words = done.facts.get("words")
    if words:
        learned = f"{count(words['learned_from'])} of {count(words['distinct'])}"
        rows.append(("distinct words it learned from", learned))
    return rows


def _from_words(
    items: list[WorkItem], out: Place, made_from: MadeFrom, settings: TokenizerSettings, context: Context
) -> tuple[State, Manifest]:
    """Trains on the words of all documents; a pipeline counts them."""
    from pipelines.words import train_on_corpus

    with progress("words") as bar:
        outcome = train_on_corpus(
            items, out, made_from, settings, context.runner, rebuild=context.rebuild, progress=bar, phase=bar.phase
        )
    return outcome.state, outcome.manifest


def _from_documents(
    items: list[WorkItem], out: Place, made_from: MadeFrom, settings: TokenizerSettings, context: Context
) -> tuple[State, Manifest]:
    """Trains on a sample of the documents; kind `bytes` doesn't need one."""
    with locked(out, made_from.stage):
        state = manifest.begin(out, made_from, rebuild=context.rebuild)
        if state == "finished":
            return state, manifest.read(out)
        from pipelines.words import kept_in
        from tokenizer_train.train import train_tokenizer

        home = Home.of(out)
        with progress("tokenizer") as bar, home.filled() as folder, kept_in(home) as kept:
            texts = Texts(items, home, bar)
            facts = train_tokenizer(texts, folder, settings, kept=kept, phase=bar.phase)
            records = [manifest.record(folder, folder / name) for name in facts["files"]]
        return state, manifest.finish(
            out,
            records=[*records, *texts.records],
            counts=texts.counts(),
            facts=facts,
            items=texts.accounts,
            damaged=texts.damaged,
            made_from=made_from,
        )


def tokenizer_of(plan: Plan) -> str:
    """The tokenizer of the recipe: a name or path that load_encoder takes."""
    file, folder = plan.recipe.tokenizer.file, plan.folder("tokenizer")
    return brought.located(file, folder) if file else str(folder)


def _run(plan: Plan, context: Context) -> StageReport:
    settings: TokenizerSource = plan.recipe.tokenizer
    if settings.file:
        return brought.brought_stage(settings.file, plan.folder("tokenizer"), context)
    said = languages_of(plan.recipe), sources_of(plan.recipe)
    return tokenizer_stage(plan.documents("tokenizer"), plan.folder("tokenizer"), settings.training, context, *said)


def _before(plan: Plan) -> None:
    if plan.recipe.tokenizer.file:
        brought.check(plan.recipe.tokenizer.file, plan.folder("tokenizer"))


def _phases(recipe: Recipe) -> dict[str, Growth]:
    """Documents are read and words counted by all workers; SentencePiece learns from so many words, or bytes."""
    from tokenizer_train.train import CHECKED_BYTES, CHECKING

    settings: TokenizerSource = recipe.tokenizer
    if settings.file or settings.kind == "bytes":
        return {"": Growth()}
    if not settings.learns_from_words:
        return {"": Growth(), "SentencePiece": Growth(law="power", most=settings.sample_bytes)}
    return {
        "": Growth(shared=True),
        "selecting words": Growth("words"),
        "SentencePiece": Growth("words", "power", most=settings.words),
        CHECKING: Growth(most=CHECKED_BYTES),
    }


def _counts(report: StageReport) -> dict[str, float]:
    words = report.facts.get("words")
    return {"words": float(words["distinct"])} if words else {}


def _rehearsed(recipe: Recipe, _: Part) -> Recipe:
    """A part of the documents may be too small for the vocabulary."""
    settings: TokenizerSource = recipe.tokenizer
    trained = settings.file is None and settings.kind != "bytes"
    return with_section(recipe, "tokenizer", fill_unused=True) if trained else recipe


STAGE = Stage(
    name="tokenizer",
    folder="tokenizer",
    title="Tokenizer",
    help="a tokenizer, trained or existing",
    sections=(Section("tokenizer", TokenizerSource, displaces={"file": None}),),
    run=_run,
    anywhere=True,
    reads=True,
    before=_before,
    costs=Costs(
        phases=_phases,
        disk=Growth(most=1),  # a tokenizer doesn't grow; word counts are scratch
        counts=_counts,
        rehearsed=_rehearsed,
    ),
)
