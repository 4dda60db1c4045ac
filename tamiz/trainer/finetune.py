"""Fine-tunes a trained T5 to classify texts, and compares it with always predicting the most frequent class.

    python -m tamiz.finetune OUT/model
    python -m tamiz.finetune OUT/model --input 'documents/*.jsonl.zst'

The model predicts which source a passage is from. The class is the beginning of the text's URL (the shortest one that
separates the texts), or the column named by --label-column. Without --input, tamiz.finetune uses the demo's
documents, whose URLs separate good text from several kinds of bad text. Classes get equal numbers of passages, so
that guessing scores lowest.

The task is text to text: the target is the name of the class, and the model predicts the class whose name it finds
most likely. It takes one or two minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # faster on shared cores; read when torch is loaded

import torch
from safetensors import SafetensorError
from torch.nn import functional

from corpora import files
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches
from corpora.errors import BadArgument, TamizError
from corpora.randomness import digest, uniform
from tamiz.trainer.export import add_to_config
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.generation import family_of
from tamiz.trainer.loading import load_model
from tamiz.trainer.quiet import quietly
from tamiz.trainer.write_errors import system_error

HELD_OUT = 0.25
PASSAGE_WORDS = 32
PASSAGES = 8  # maximum per text
MARGIN = 0.10


class Example(NamedTuple):
    """origin: all examples with the same origin are on the same side of the split."""

    text: str
    label: str
    origin: str


class Encoded(NamedTuple):
    """ids: inputs padded with 0, int64 [n, length]; classes: int64 [n]."""

    ids: Any
    classes: torch.Tensor


def read(pattern: str, label_column: str | None) -> list[tuple[str, str]]:
    """(text, label or URL or "") of every document; equal texts appear once."""
    columns = (label_column,) if label_column else ()
    found: dict[str, str] = {}
    for item in work_items([pattern]):
        for batch in read_batches(item, columns=columns):
            keys = batch.extra[label_column] if label_column else batch.urls
            found.update(zip(batch.texts, (key or "" for key in keys), strict=True))
    return list(found.items())


def address_class(url: str, depth: int) -> str:
    """The host (depth 0), or the depth-th part of the path: a short name is learnt faster than a whole URL."""
    split = urlsplit(url)
    return [split.netloc, *split.path.strip("/").split("/")][: depth + 1][-1]


def label_by_address(documents: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(text, class), by the shortest beginning of the URLs for which no class has over four fifths of the texts."""
    for depth in range(4):
        labelled = [(text, address_class(url, depth)) for text, url in documents]
        if max(Counter(label for _, label in labelled).values(), default=0) <= 0.8 * len(labelled):
            return labelled
    raise BadArgument("the URLs don't separate the texts into classes: name a column with --label-column")


def passages(text: str, label: str) -> Iterator[Example]:
    """Passages of PASSAGE_WORDS words each, from the beginning of the text."""
    words = text.split()
    for start in range(0, min(len(words), PASSAGES * PASSAGE_WORDS), PASSAGE_WORDS):
        yield Example(" ".join(words[start : start + PASSAGE_WORDS]), label, text)


def choose(examples: list[Example], num_classes: int, rows: int, seed: int) -> list[Example]:
    """Draws equal numbers of examples of the most frequent classes: `rows` in total, if the smallest class has
    enough."""
    frequent = Counter(e.label for e in examples).most_common(num_classes)
    each = min(rows // len(frequent), frequent[-1][1])
    drawn = sorted(examples, key=lambda e: digest(seed, "choose", e.text))
    return [e for label, _ in frequent for e in [e for e in drawn if e.label == label][:each]]


def split(examples: list[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """(training, held out). Passages of one text are on the same side. Raises BadArgument if a side is empty."""
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        sides[uniform(seed, "held-out", example.origin) < HELD_OUT].append(example)
    if not all(sides):
        raise BadArgument(f"{len(examples)} passages are too few to hold some out: give more documents")
    return sides


def encode(tokenizer: Any, examples: Sequence[Example], labels: list[str], length: int) -> Encoded:
    """The first `length` ids of each text, including </s>; rows are padded."""
    ids = torch.full((len(examples), length), tokenizer.pad_token_id)
    for row, example in enumerate(examples):
        known = tokenizer.encode(example.text, add_special_tokens=False, truncation=True, max_length=length - 1)
        ids[row, : len(known) + 1] = torch.tensor([*known, tokenizer.eos_token_id])
    return Encoded(ids, torch.tensor([labels.index(e.label) for e in examples]))


def target_ids(tokenizer: Any, labels: list[str]) -> torch.Tensor:
    """The names of the labels as targets, padded with -100: int64 [num_labels, longest]. Raises BadArgument if the
    tokenizer encodes two names to the same ids."""
    encoded = [[*tokenizer.encode(label, add_special_tokens=False), tokenizer.eos_token_id] for label in labels]
    if len({tuple(ids) for ids in encoded}) < len(labels):
        raise BadArgument(f"the tokenizer can't tell the class names apart: rename {', '.join(labels)}")
    targets = torch.full((len(labels), max(map(len, encoded))), -100)
    for row, ids in enumerate(encoded):
        targets[row, : len(ids)] = torch.tensor(ids)
    return targets


def name_losses(model: Any, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The negative log-probability of each text's target: [n]. ids [n, length], targets [n, longest]."""
    mask = (ids != model.config.pad_token_id).long()
    decoder_ids = model.prepare_decoder_input_ids_from_labels(targets)
    logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder_ids, use_cache=False).logits
    losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="none")
    return losses.view_as(targets).sum(1)


def batches(count: int, batch_size: int, seed: int) -> Iterator[torch.Tensor]:
    """Row numbers, epoch after epoch; each epoch is shuffled differently."""
    source = torch.Generator().manual_seed(seed)
    while True:
        order: Any = torch.randperm(count, generator=source)
        yield from order.split(batch_size)


def finetune(model: Any, rows: Encoded, targets: torch.Tensor, options: argparse.Namespace) -> None:
    """Trains with AdamW; the learning rate falls linearly to 0."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, options.steps)
    model.train()
    for step, chosen in zip(
        range(1, options.steps + 1), batches(len(rows.ids), options.batch_size, options.seed), strict=False
    ):
        loss: Any = name_losses(model, rows.ids[chosen], targets[rows.classes[chosen]]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % max(1, options.steps // 10) == 0:
            print(f"step {step} of {options.steps}: loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def predict(model: Any, rows: Encoded, targets: torch.Tensor) -> torch.Tensor:
    """The class whose name is most likely: int64 [n]."""
    model.eval()
    scored = [
        torch.stack([name_losses(model, ids, target.expand(len(ids), -1)) for target in targets], 1)
        for ids in rows.ids.split(32)
    ]
    return torch.cat(scored).argmin(1)


def load(folder: Path) -> tuple[Any, Any]:
    """(model, tokenizer). Raises BadArgument if the folder has no T5."""
    from transformers import AutoModelForSeq2SeqLM

    family = family_of(folder)
    if family is not T5:
        raise BadArgument(f"{folder} has a {family.title}: this example fine-tunes a T5")
    # without dropout: on so few passages, a small model learns nothing with it
    return load_model(folder, AutoModelForSeq2SeqLM, dropout_rate=0.0)


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Raises TamizError if the folder can't be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with quietly():
            model.save_pretrained(out)
            tokenizer.save_pretrained(out)
        add_to_config(out, T5(**T5.settings_of(model.config)).config_extras)
    except (OSError, SafetensorError) as error:
        cause = system_error(error, out) or OSError(str(error))
        raise files.cannot_write(out / "config.json", cause, name=f"the model to {out}") from error


def examples_from(options: argparse.Namespace) -> list[Example]:
    """The chosen passages. Raises BadArgument if there are fewer than two classes."""
    found = read(options.input, options.label_column)
    documents = [(text, key) for text, key in found if key]
    labelled = documents if options.label_column else label_by_address(documents)
    examples = [e for text, label in labelled for e in passages(text, label)]
    if len({e.label for e in examples}) < 2:
        raise BadArgument(f"{options.input} has {len(examples)} passages of one class: two classes are needed")
    return choose(examples, options.classes, options.rows, options.seed)


def run(options: argparse.Namespace) -> bool:
    """Returns whether the model is better than the most frequent class by MARGIN on held-out rows."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.num_threads)
    train, held_out = split(examples_from(options), options.seed)
    labels = sorted({e.label for e in (*train, *held_out)})
    model, tokenizer = load(options.model)
    print(f"{len(train)} passages to train on, {len(held_out)} held out (from other texts); held out by class:")
    for label, count in Counter(e.label for e in held_out).most_common():
        print(f"  {count:5d}  {label}")
    targets = target_ids(tokenizer, labels)
    began = time.monotonic()
    finetune(model, encode(tokenizer, train, labels, options.length), targets, options)
    rows = encode(tokenizer, held_out, labels, options.length)
    accuracy = (predict(model, rows, targets) == rows.classes).float().mean().item()
    baseline = max(Counter(e.label for e in held_out).values()) / len(held_out)
    print(f"always the most frequent class: {baseline:.1%}; the model: {accuracy:.1%} ({accuracy - baseline:+.1%})")
    print(f"{len(train) + len(held_out)} passages, {options.steps} steps, {time.monotonic() - began:.0f} s")
    if options.out:
        save(model, tokenizer, options.out)
    return accuracy >= baseline + MARGIN


def main(arguments: Sequence[str] | None = None, *, documents: str | None = None) -> int:
    """Returns exit code 0 if the model is better than the most frequent class by 10 points, else 1.

    documents: the default of --input; None makes --input required.
    """
    parser = _parser(documents)
    try:
        return 0 if run(parser.parse_args(arguments)) else 1
    except TamizError as error:
        parser.exit(error.exit_code, f"error: {error}\n")


def _parser(documents: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tamiz.finetune",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument("model", type=Path, help="folder of a trained T5")
    parser.add_argument(
        "--input", default=documents, required=documents is None, help="pattern of documents [default: %(default)s]"
    )
    parser.add_argument("--label-column", help="column with the class; without it, the beginning of the URL")
    parser.add_argument(
        "--classes", type=int, default=3, help="number of classes: the most frequent ones [default: %(default)s]"
    )
    parser.add_argument(
        "--rows", type=int, default=1600, help="number of passages, including held-out ones [default: %(default)s]"
    )
    parser.add_argument(
        "--length", type=int, default=80, help="number of ids to read of each passage [default: %(default)s]"
    )
    parser.add_argument("--steps", type=int, default=400, help="updates of the weights [default: %(default)s]")
    parser.add_argument("--batch-size", type=int, default=8, help="passages per step [default: %(default)s]")
    parser.add_argument(
        "--learning-rate", type=float, default=1e-3, help="at the first step; falls to 0 [default: %(default)s]"
    )
    parser.add_argument("--num-threads", type=int, default=2, help="torch threads [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the order [default: %(default)s]")
    parser.add_argument("--out", type=Path, help="folder for the fine-tuned model; without it, it isn't saved")
    return parser
