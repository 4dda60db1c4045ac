"""`tamiz lm train`: texts to LM.bin (a KenLM probing binary), LM.spiece.model and LM.json.

Texts are cut into lines, lines normalised and cut into pieces of a SentencePiece model, pieces numbered, and the
n-grams of these numbers estimated. Equal texts and settings give equal files.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora import files
from corpora.errors import BadArgument
from corpora.lm_json import FORMAT, VERSION, encode, manifest_path, progress_folder, tokenizer_path
from corpora.perplexity.lm_tokenizer import Spool, train_tokenizer
from corpora.perplexity.pieces import load_tokenizer
from corpora.perplexity.reserved_words import ReservedWords
from corpora.perplexity.settings import SENTENCEPIECE_THREADS, LmSettings
from corpora.perplexity.small_text import NO_SENTENCE, SmallText, Text, Written
from corpora.text.normalise import normalise

if TYPE_CHECKING:
    from corpora.perplexity.estimation.item_ids import PartFiles

Progress = Callable[[int, int], None]

SMALL_INPUT = 10_000_000  # bytes of text; below this, compiling would take longer than everything else
READ, TOKENIZED, NUMBERED, WRITTEN = 10, 50, 70, 95  # percent done after each phase, if a tokenizer is trained


def train_lm(
    texts: Iterable[str] | Callable[[], Iterable[str]],
    out: str | Path,
    *,
    settings: LmSettings,
    progress: Progress = lambda _done, _total: None,
    phase: Callable[[str], None] = lambda _: None,
    inputs: Iterable[dict[str, Any]] = (),
    extra: Callable[[], dict[str, Any]] = dict,
    where: Callable[[], str | None] = lambda: None,
) -> dict[str, Any]:
    """Trains on `texts` (read once) and writes the model's files, LM.json last; returns what LM.json says.

    out: LM.bin. progress: called with percent done and 100; phase: with the name of a step of unknown length. inputs:
    descriptions of where the texts come from, for LM.json; extra: more of its fields, called after all texts are
    read. where: says where the last text comes from. An interrupted training leaves what SentencePiece trained.
    Raises BadArgument for texts without a sentence or too small for the vocabulary, DamagedFile for a bad tokenizer,
    TamizError for reserved words, for more text than 32 bits can count, or for a failed write.
    """
    out = Path(out)
    _claim(out)
    progress(0, 100)
    reserved = ReservedWords(skip=settings.skip_symbols, where=where)
    given = texts() if callable(texts) else texts
    with _clearing_up(out):
        text, read = _text_of(reserved.checked(given) if settings.words else given, out, settings)
        _read(text, read, out, settings, progress, phase)
        phase("counting n-grams")
        written = text.write_model(out, settings, part_of(progress, NUMBERED, WRITTEN))
    if settings.tokenizer is not None:
        files.write_bytes(tokenizer_path(out), Path(settings.tokenizer).read_bytes())
    described = _describe(out, settings, written, text.blank_lines, reserved.skipped, {"inputs": list(inputs), **extra()})
    progress(100, 100)
    return described


def train_on_parts(
    parts: Sequence[PartFiles],
    out: Path,
    *,
    settings: LmSettings,
    tokenizer: bytes | None,
    blank_lines: int,
    skipped: int,
    extra: Callable[[], dict[str, Any]],
    progress: Progress,
) -> dict[str, Any]:
    """As `train_lm`, from the ids of all parts, which `item_ids` has written: equal texts give equal files.

    tokenizer: the file of the one that made the pieces; None for raw words. blank_lines, skipped: the sums over all
    parts. progress: of the estimation alone.
    """
    from corpora.perplexity.estimation.parted_text import write_parted_model  # compiles

    _claim(out)
    with _clearing_up(out):
        written = write_parted_model(parts, out, settings, progress)
    if tokenizer is not None:
        files.write_bytes(tokenizer_path(out), tokenizer)
    return _describe(out, settings, written, blank_lines, skipped, {"inputs": [], **extra()})


def _describe(
    out: Path, settings: LmSettings, written: Written, blank_lines: int, skipped: int, extra: dict[str, Any]
) -> dict[str, Any]:
    """Writes LM.json, last of all, and returns what it says."""
    said = {"skipped_symbols": skipped} if settings.skip_symbols else {}
    described = {**_contents(out, settings, written, blank_lines, said), **extra}
    files.write_bytes(manifest_path(out), encode(described))
    _remove_notes(out)
    return described


def reading_percent(settings: LmSettings) -> int:
    """The percentage done once all texts are read; without a tokenizer to train, that includes numbering."""
    return READ if settings.vocabulary_size else NUMBERED


def _claim(out: Path) -> None:
    """LM.json must never be beside files that it doesn't describe."""
    try:
        progress_folder(out).mkdir(parents=True, exist_ok=True)
        manifest_path(out).unlink(missing_ok=True)
    except OSError as error:
        raise files.cannot_write(manifest_path(out), error) from error


@contextlib.contextmanager
def _clearing_up(out: Path) -> Iterator[None]:
    """After an error, removes the notes if they hold nothing and there is no model whose owner they tell."""
    try:
        yield
    except BaseException:
        if not out.exists():
            with contextlib.suppress(OSError):
                progress_folder(out).rmdir()
                progress_folder(out).parent.rmdir()
        raise


def _remove_notes(out: Path) -> None:
    """Removes the notes of this model; other models may be at work in the folder."""
    notes = progress_folder(out)
    shutil.rmtree(notes, ignore_errors=True)
    with contextlib.suppress(OSError):  # another model's notes are in it
        notes.parent.rmdir()


def _contents(
    out: Path, settings: LmSettings, written: Written, blank_lines: int, skipped: dict[str, int]
) -> dict[str, Any]:
    tokenizer_sha256 = None if settings.words else files.sha256(tokenizer_path(out))
    return {
        **_described(settings, tokenizer_sha256, files.sha256(out)),
        "order": len(written.counts),
        "counts": written.counts,
        "sentences": written.sentences,
        "blank_lines": blank_lines,
        **skipped,
    }


def _described(settings: LmSettings, tokenizer_sha256: str | None, lm_sha256: str) -> dict[str, Any]:
    """LM.json's content. It names the tokenizer by sha256, since a path means nothing on another machine."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "mode": settings.scoring_mode,
        "normaliser": None if settings.words else "ccnet",
        "tokenizer_sha256": tokenizer_sha256,
        "lm_sha256": lm_sha256,
        "settings": {
            "order": settings.order,
            "prune": settings.prune,
            "mode": settings.mode,
            "words": settings.words,
            "train_tokenizer": settings.vocabulary_size,
            "memory": settings.memory,
            "threads": SENTENCEPIECE_THREADS,
        },
    }


def _look_at_size(texts: Iterable[str]) -> tuple[bool, Iterator[str]]:
    """(whether the texts are a small input, the same texts). Their size alone decides it."""
    source = iter(texts)
    head: list[str] = []
    size = 0
    for text in source:
        head.append(text)
        size += len(text.encode("utf-8", "surrogatepass")) + 1
        if size >= SMALL_INPUT:
            return False, itertools.chain(head, source)
    return True, iter(head)


def _text_of(texts: Iterable[str], out: Path, settings: LmSettings) -> tuple[Text, Iterator[str]]:
    small, read = _look_at_size(texts)
    return SmallText() if small else _large_text(out, settings), read


def _large_text(out: Path, settings: LmSettings) -> Text:
    from corpora.perplexity.estimation.large_text import LargeText  # compiles

    return LargeText(out, settings)


def _read(
    text: Text,
    texts: Iterable[str],
    out: Path,
    settings: LmSettings,
    progress: Progress,
    phase: Callable[[str], None],
) -> None:
    """Numbers all texts; writes LM.spiece.model if a tokenizer is trained."""
    if settings.words:
        text.add_words(texts)
        return
    lines = (line for one in texts for line in _lines(one, settings))
    if settings.tokenizer is not None:
        text.add_lines(load_tokenizer(settings.tokenizer), lines)
    else:
        _train_and_encode(text, lines, out, settings, progress, phase)


def _train_and_encode(
    text: Text,
    lines: Iterator[str],
    out: Path,
    settings: LmSettings,
    progress: Progress,
    phase: Callable[[str], None],
) -> None:
    """Keeps the lines on disk, to read them again once there is a tokenizer."""
    assert settings.vocabulary_size is not None
    with Spool(out) as spool:
        blank_lines = spool.fill(lines)
        if not spool.bytes:
            raise BadArgument(NO_SENTENCE)
        progress(READ, 100)
        phase(f"SentencePiece, {settings.vocabulary_size:,} pieces")
        model = train_tokenizer(spool, settings.vocabulary_size, kept=progress_folder(out))
        files.write_bytes(tokenizer_path(out), model)
        text.add_lines(load_tokenizer(tokenizer_path(out)), spool.lines(part_of(progress, TOKENIZED, NUMBERED)))
        text.blank_lines += blank_lines


def _lines(text: str, settings: LmSettings) -> list[str]:
    if settings.mode == "ccnet":
        return [normalise(text)]
    return [normalise(line) for line in text.split("\n")]


def part_of(progress: Progress, start: int, end: int) -> Progress:
    """Progress of one phase as a part of the whole, in percent."""
    return lambda done, total: progress(start + (end - start) * done // max(total, 1), 100)
