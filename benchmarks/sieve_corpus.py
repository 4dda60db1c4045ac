"""The texts of `benchmarks.sieve`: a pool with planted noise, its clean part, held-out text, and a language model's.

Files of the corpus are parted: the last ones are the language model's, those before them are held out, the first ones
are the pool. A document whose text has the key of a validation document (`corpora.tokens.split`) is only ever held
out: where it lies elsewhere it is left out and counted. So `tamiz shards build` of a sample and the held-out text
puts exactly the latter into the split `validation`.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import zstandard

from benchmarks.sieve_noise import CLEAN, SHARES, Document, Noise
from benchmarks.sieve_sizes import Size
from corpora import files
from corpora.errors import BadArgument
from corpora.randomness import uniform

OTHERS = ("pt", "en", "ko", "ja", "zh")
SPLIT_SEED = 0  # the seed of `tamiz shards build`, which decides its split
LONGEST_HELD_OUT = 8000  # characters: one novel would be most of the held-out text


@dataclass(frozen=True)
class Corpus:
    """The files in a folder. counts, characters: of each kind in the pool. left_out: documents with the key of
    validation; held_out, lm: documents."""

    folder: Path
    counts: dict[str, int]
    characters: dict[str, int]
    left_out: int
    held_out: int
    lm: int

    @property
    def pool(self) -> str:
        """A pattern."""
        return str(self.folder / "pool" / "*.jsonl.zst")

    @property
    def held_out_file(self) -> Path:
        return self.folder / "held-out.jsonl.zst"

    @property
    def lm_file(self) -> Path:
        return self.folder / "lm.jsonl.zst"


def make_corpus(corpora: Path, folder: Path, size: Size) -> Corpus:
    """Writes the corpus into the folder, or reads what it wrote there before. Raises BadArgument for too few
    files."""
    done = folder / "corpus.json"
    if done.is_file():
        return Corpus(folder=folder, **json.loads(done.read_bytes()))
    parts = _parts(corpora, size)
    noise = Noise(_other_texts(corpora, size), SHARES)
    counts: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    left_out = 0
    for path in parts["pool"]:
        planted = [noise.planted(document) for document in read(path, size.documents)]
        kept = [document for document in planted if not is_held_out(document.text, size)]
        left_out += len(planted) - len(kept)
        for document in kept:
            counts[document.kind] += 1
            characters[document.kind] += len(document.text)
        write(folder / "pool" / path.name, kept)
    held_out = [d for path in parts["held-out"] for d in read(path, size.documents) if is_held_out(d.text, size)]
    held_out = [d for d in held_out if len(d.text) <= LONGEST_HELD_OUT]
    lm = [d for path in parts["lm"] for d in read(path, size.documents) if not is_held_out(d.text, size)]
    made = Corpus(folder, dict(counts), dict(characters), left_out, len(held_out), len(lm))
    write(made.held_out_file, held_out)
    write(made.lm_file, lm)
    plain = {name: value for name, value in asdict(made).items() if name != "folder"}
    files.write_bytes(done, json.dumps(plain, indent=1, ensure_ascii=False).encode())
    return made


def is_held_out(text: str, size: Size) -> bool:
    """Whether `tamiz shards build` puts a document of this text into the split `validation`."""
    return uniform(SPLIT_SEED, "validation", text) < size.held_out_share


def clean_draw(corpus: Corpus, share: float, seed: int) -> Iterator[Document]:
    """The share of the pool's clean documents that a random draw keeps: what a sieve that knew the noise would do."""
    for path in sorted((corpus.folder / "pool").glob("*.jsonl.zst")):
        for document in read(path):
            if document.kind == CLEAN and uniform(seed, "clean draw", document.url, document.text) < share:
                yield document


def read(path: Path, most: int | None = None) -> Iterator[Document]:
    """The first `most` documents of a .jsonl.zst file."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as data:
        for line in islice(io.TextIOWrapper(data, encoding="utf-8", newline="\n"), most):
            row = json.loads(line)
            yield Document(row["text"], row["url"], row["timestamp"], row.get("kind", CLEAN))


def write(path: Path, documents: Iterable[Document]) -> None:
    """A .jsonl.zst file; equal documents give equal bytes."""
    lines = [json.dumps(asdict(document), ensure_ascii=False) + "\n" for document in documents]
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, zstandard.ZstdCompressor(level=3).compress("".join(lines).encode()))


def _parts(corpora: Path, size: Size) -> dict[str, list[Path]]:
    found = _files(corpora, "es")
    needed = size.pool_files + size.held_out_files + size.lm_files
    if len(found) < needed:
        raise BadArgument(f"{corpora / 'es'} has {len(found)} files: size {size.name} needs {needed}, *.jsonl.zst")
    rest, lm = found[: -size.lm_files], found[-size.lm_files :]
    return {"pool": found[: size.pool_files], "held-out": rest[-size.held_out_files :], "lm": lm}


def _other_texts(corpora: Path, size: Size) -> list[str]:
    """As many of each language, so that each is drawn as often."""
    return [
        document.text
        for language in OTHERS
        for document in read(_files(corpora, language)[0], min(500, size.documents or 500))
    ]


def _files(corpora: Path, language: str) -> list[Path]:
    found = sorted((corpora / language).glob("*.jsonl.zst"))
    if not found:
        raise BadArgument(f"no *.jsonl.zst in {corpora / language}: name the folder of languages with --corpora")
    return found
