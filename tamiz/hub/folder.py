"""Which files of an output folder are published, under which names, and which are left out and why.

Only what manifests name is published, the manifests and a card: never logs, locks, checkpoints, curves for
TensorBoard and temporary files, nor `rejected/`, which holds the first bytes of rows that aren't documents. A run is
published as a dataset of its sample, shards, tokenizer and model, each in its folder; its language models and scores
are large and of use to few, so they stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from corpora import files, lm_json, locks, manifest
from corpora.errors import BadArgument, DamagedFile, TamizError
from corpora.manifest import Manifest
from tamiz.hub.record import CARD, Item, item
from tamiz.verify import verify

RepoType = Literal["dataset", "model"]
# stage -> what its output is called, and the type of its repository
KINDS: dict[str, tuple[str, RepoType]] = {
    "sample": ("sampled corpus", "dataset"),
    "score": ("scores", "dataset"),
    "shards": ("shards", "dataset"),
    "run": ("run", "dataset"),
    "tokenizer": ("tokenizer", "model"),
    "train": ("model", "model"),
    "export": ("export", "model"),
}
MODEL = "model"
PARTS = ("sampled", "shards", "tokenizer", MODEL)  # of a run
_WHY = {
    manifest.REJECTED: "rows that aren't documents, with their first bytes",
    manifest.LOG: "command lines and the machine",
    manifest.PLAN: "the machine, and what was planned for it",
    "checkpoints": "of use to this training alone",
    manifest.CURVES: "curves of the training, with its times",
    "lm": "language models: large, and not needed to read the rest",
    "scores": "of all documents, also those not sampled; `tamiz upload` takes the folder by itself",
    "export": "for another program; `tamiz upload` takes the folder by itself",
}


@dataclass(frozen=True)
class Publication:
    """folder: whose content is at the repository's root. left_out: path -> (bytes, why)."""

    folder: Path
    kind: str
    repo_type: RepoType
    items: tuple[Item, ...]
    left_out: dict[str, tuple[int, str]]

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.items)


def publication(folder: Path, repo_type: RepoType | None = None) -> Publication:
    """What the folder publishes, checked against its manifests.

    repo_type: None for that of the folder's kind; of a run, "model" is its model alone. Raises DamagedFile for a
    folder that isn't tamiz's, isn't finished or differs from its manifest; BadArgument for a repo_type whose
    repositories load nothing of its kind; TamizError if there is nothing to publish.
    """
    content = _manifest(folder)
    if content.stage == "run" and repo_type == "model":
        folder, content = folder / MODEL, _manifest(folder / MODEL)
    if content.stage not in KINDS:
        raise TamizError(
            f"{folder} holds the output of {content.stage!r}, which isn't published: one of {_names()} is"
        )
    kind, usual = KINDS[content.stage]
    _check_type(folder, kind, usual, repo_type)
    _check(folder)
    homes = [folder, *(_homes(folder) if content.stage == "run" else ())]
    items = [each for home in homes for each in _items(folder, home, manifest.read(home))]
    if not any(each.path not in (manifest.NAME, CARD) for each in items):
        raise TamizError(f"{folder}: there is nothing to publish but its manifest")
    return Publication(folder, kind, usual, tuple(_with_card(folder, items)), _left_out(folder, items))


def without(found: Publication, path: str, why: str) -> Publication:
    """The same with one file less."""
    gone = next(each for each in found.items if each.path == path)
    rest = tuple(each for each in found.items if each.path != path)
    left_out = {**found.left_out, path: (gone.bytes, why)}
    return Publication(found.folder, found.kind, found.repo_type, rest, left_out)


def _check_type(folder: Path, kind: str, usual: RepoType, given: RepoType | None) -> None:
    """`load_dataset` finds dataset repositories alone, `from_pretrained` model repositories alone."""
    if given not in (None, usual):
        raise BadArgument(
            f"--type {given}: the {kind} in {folder} can only be loaded from a {usual} repository: leave --type out"
        )


def _names() -> str:
    return ", ".join(sorted(KINDS))


def _manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise DamagedFile(f"{folder} is {'a file, not a folder' if folder.exists() else 'not a folder'}")
    if not (folder / manifest.NAME).exists():
        if any(lm_json.is_lm_json(path) for path in folder.glob("*.json")):
            raise TamizError(
                f"{folder} holds a language model, which `tamiz upload` doesn't publish: "
                f"`hf upload OWNER/NAME {folder} --exclude '*.rejected/*' --exclude '*.log.jsonl'` does"
            )
        raise DamagedFile(f"{folder} has no {manifest.NAME}, so it is no finished output of tamiz{_nearby(folder)}")
    content = manifest.read(folder)
    if not content.finished:
        raise DamagedFile(f"{folder} is unfinished: run its command again to finish it, then publish it")
    return content


def _nearby(folder: Path) -> str:
    """What may have been meant: a folder in it, or the one that it belongs to."""
    below = sorted(path.parent.name for path in folder.glob(f"*/{manifest.NAME}"))
    if below:
        return f"; publish one of its folders: {', '.join(below[:5])}"
    home = folder.resolve().parent
    return f"; publish the folder that it is in: {home}" if (home / manifest.NAME).exists() else ""


def _check(folder: Path) -> None:
    """A card that was edited by hand is no damage."""
    problems = [text for text in verify(folder)[1] if f"{CARD}: " not in text or f"{CARD}: missing" in text]
    if problems:
        more = f" (and {len(problems) - 1} more, see `tamiz verify {folder}`)" if len(problems) > 1 else ""
        raise DamagedFile(f"{problems[0]}{more}: nothing was published")


def _homes(run: Path) -> Iterator[Path]:
    """The folders of a run's parts; shards may lie one level below, by source."""
    for part in PARTS:
        if (run / part / manifest.NAME).exists():
            yield run / part
        else:
            yield from sorted(path.parent for path in (run / part).glob(f"*/{manifest.NAME}"))


def _items(root: Path, home: Path, content: Manifest) -> Iterator[Item]:
    prefix = "" if home == root else f"{home.relative_to(root).as_posix()}/"
    for each in (*content.files, *content.derived):
        if each.path.split("/")[0] != manifest.REJECTED:
            yield item(prefix + each.path, home / each.path, each.sha256)
    yield item(f"{prefix}{manifest.NAME}", home / manifest.NAME)


def _with_card(folder: Path, items: list[Item]) -> list[Item]:
    """The card that is there, edited or not; else one that is made from the manifests."""
    from tamiz.cards import folder_card

    if any(each.path == CARD for each in items):
        return items
    own = folder / CARD
    return [*items, item(CARD, own if own.is_file() else folder_card(folder).encode())]


def _left_out(folder: Path, items: list[Item]) -> dict[str, tuple[int, str]]:
    """By entry of the folder, or of a folder in it. Locks and temporary files aren't worth a word."""
    published = {each.path for each in items}
    found: dict[str, tuple[int, str]] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in published or locks.is_lock(path) or files.TEMPORARY.search(path.name) or name == CARD:
            continue
        entry, why = _entry(name)
        found[entry] = found.get(entry, (0, ""))[0] + path.stat().st_size, why
    return found


def _entry(name: str) -> tuple[str, str]:
    """The shortest folder that has a reason, and the reason."""
    steps = name.split("/")
    for n, step in enumerate(steps):
        if step in _WHY:
            return "/".join(steps[: n + 1]) + ("/" if n + 1 < len(steps) else ""), _WHY[step]
    return name, "no part of what is published"
