"""The table of docs/systems.md: python -m benchmarks.systems [--only NAME]... [--what demo|corpora] [--write]

Runs each system's demo, and the same small model on real text of --corpora (a folder LANGUAGE/*.jsonl.zst), from raw
text to a model; then loads the model with its usual class. Prints a row for each run: the command, minutes, rows, the
validation loss before and after training beside the entropy of the targets' unigrams. Figures of finished runs are
kept in --out, so that runs may be made one by one; --write puts the table into docs/systems.md.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

PAGE = Path(__file__).parents[1] / "docs" / "systems.md"
BEGIN, END = "<!-- table: python -m benchmarks.systems --write -->", "<!-- end of table -->"
CORPORA = Path(__file__).parents[2] / "shared" / "corpora"


@dataclass(frozen=True)
class System:
    """documents: language -> number of files read. overrides: what the run on real text changes in the demo."""

    name: str
    documents: dict[str, int]
    overrides: tuple[str, ...]

    def real(self) -> Iterator[str]:
        """Overrides for real text: the first files of each language are documents, the last trains its model."""
        several = len(self.documents) > 1
        for number, (language, count) in enumerate(self.documents.items()):
            folder = f"CORPORA/{language}"
            documents = ", ".join(f'"{folder}/{language}-{k:05}-of-*.jsonl.zst"' for k in range(count))
            place = f"documents.{number}" if several or self.name.startswith("teeny") else "documents"
            yield f"{place}.input=[{documents}]"
            lm = f"lm.languages.{language}" if several else "lm"
            yield f"{lm}.input={folder}/{language}-{LAST[language]:05}-of-*.jsonl.zst"
        yield from self.overrides


LAST = {"es": 15, "pt": 5, "ko": 1, "en": 1, "zh": 0, "ja": 0}  # of zh and ja there is one file, for both
TOKENIZER = ("tokenizer.vocab_size=5000", "model.vocab_size=5000", "lm.train_tokenizer=8000")
SYSTEMS = (
    System("t5-spanish-efficient-tiny", {"es": 1}, TOKENIZER),
    System("t5-backbone-t5-small", {"es": 1}, (*TOKENIZER[:1], "model.vocab_size=5120", TOKENIZER[2])),
    System("t5-backbone-1.1-small", {"es": 1}, (*TOKENIZER[:1], "model.vocab_size=5120", TOKENIZER[2])),
    System("kebyt5-small", {"ko": 1, "en": 1, "zh": 1, "ja": 1}, ("lm.train_tokenizer=8000",)),
    System("bertin-gpt-j-6b", {"es": 1}, ("lm.train_tokenizer=8000",)),
    System("teenytinyllama-160m", {"pt": 1}, TOKENIZER),
)


@dataclass(frozen=True)
class Figures:
    """One run. before, after: validation loss; entropy: of the training targets' unigrams; all in nats."""

    command: str
    minutes: float
    rows: int
    parameters: int
    before: float
    after: float
    entropy: float
    loads: str

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        losses = (f"{self.before:.2f}", f"{self.after:.2f}", f"{self.entropy:.2f}")
        return (
            f"`{self.command}`",
            f"{self.minutes:.1f}",
            f"{self.rows:,}",
            f"{self.parameters:,}",
            *losses,
            f"`{self.loads}`",
        )


HEAD = ("command", "minutes", "rows", "parameters", "loss before", "after", "unigrams", "loaded by")


def run(system: System, what: str, corpora: Path, out: Path, more: tuple[str, ...]) -> Figures:
    """Raises CalledProcessError if a run fails."""
    overrides = [*(system.real() if what == "corpora" else ()), *more]
    shown = ["tamiz", "run", system.name, "--demo", *(part for one in overrides for part in ("--set", one))]
    folder = out / what / system.name
    started = time.monotonic()
    given = [part.replace("CORPORA", str(corpora)) for part in shown[1:]]
    subprocess.run([sys.executable, "-m", "tamiz", *given, "--out", str(folder)], check=True)
    minutes = (time.monotonic() - started) / 60
    metrics = json.loads((folder / "model" / "metrics.json").read_bytes())
    return Figures(
        command=shlex.join(shown),
        minutes=minutes,
        rows=sum(_rows(path) for path in sorted((folder / "shards").rglob("manifest.json"))),
        parameters=metrics["parameters"],
        before=metrics["initial_validation_loss"],
        after=metrics["validation_loss"],
        entropy=metrics["target_unigram_entropy_nats"],
        loads=loaded(folder / "model"),
    )


def _rows(path: Path) -> int:
    """Training rows of a folder of shards; 0 for the manifest above those of a mixture."""
    rows = json.loads(path.read_bytes()).get("facts", {}).get("rows")
    return int(rows.get("train", 0)) if isinstance(rows, dict) else 0


def loaded(model: Path) -> str:
    """Loads the model and its tokenizer with transformers, and has the model write; returns the name of its class."""
    import transformers

    from tamiz.trainer.generation import family_of

    family = family_of(model)
    found = getattr(transformers, family.auto_class).from_pretrained(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    ids = tokenizer("a", return_tensors="pt").input_ids
    assert found.generate(ids, max_new_tokens=4, min_new_tokens=1).shape[1] > 0
    return family.auto_class


def table(rows: list[tuple[str, ...]]) -> str:
    """Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(text: str) -> None:
    """Puts the table into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[system.name for system in SYSTEMS])
    parser.add_argument("--what", choices=["demo", "corpora"], action="append")
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--out", type=Path, default=Path("runs/systems"))
    parser.add_argument("--set", dest="more", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--write", action="store_true", help="put the table into docs/systems.md")
    given = parser.parse_args()
    rows = []
    for what in given.what or ("demo", "corpora"):
        for system in SYSTEMS:
            kept = given.out / what / f"{system.name}.figures.json"
            if not kept.is_file() and (not given.only or system.name in given.only):
                figures = run(system, what, given.corpora, given.out, tuple(given.more))
                kept.write_bytes(msgspec.json.format(msgspec.json.encode(asdict(figures)), indent=1))
            if kept.is_file():
                rows.append(Figures(**json.loads(kept.read_bytes())).cells())
    text = table(rows)
    print(text)
    if given.write:
        write(text)


if __name__ == "__main__":
    main()
