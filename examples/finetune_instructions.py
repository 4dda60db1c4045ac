"""Fine-tunes a Llama to follow instructions, and tells whether it follows them or only writes likely answers.

    python examples/finetune_instructions.py --model llama/model
    python examples/finetune_instructions.py --model llama/model --input rows.jsonl

The loss counts the ids of the answers only. A second model learns from shuffled answers: the same instructions, texts
and answers, but nothing that tells which belong together. Both are compared on texts that neither was fine-tuned on.
Without --input, the rows are those of finetune_rows.py; in a file, each line has an instruction, an input and an
output. The exit code is 0 if the loss is better by MARGIN than before and than with shuffled answers, else 1.
"""

import argparse
import random
from pathlib import Path

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from finetune_options import parser_of
from finetune_rows import Row, question_rows, rows_in, shuffled, split

LENGTH = 128  # ids of a row; longer rows are left out
MARGIN = 0.05  # nats per id of the answers


def encode(tokenizer, rows: list[Row]) -> list[tuple[list[int], list[int]]]:
    """(ids of the prompt with <s>, ids of the answer with </s>) of each row that fits into LENGTH ids."""
    pairs = []
    for row in rows:
        begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        prompt, answer = (tokenizer.encode(text, add_special_tokens=False) for text in (row.prompt, row.answer))
        pairs.append(([*begin, *prompt], [*answer, tokenizer.eos_token_id]))
    return [(prompt, answer) for prompt, answer in pairs if len(prompt) + len(answer) <= LENGTH]


def batch_of(pairs: list[tuple[list[int], list[int]]]) -> dict[str, torch.Tensor]:
    """int64 [n, longest]: ids, their mask, and labels, which are -100 except at the ids of the answers."""
    shape = len(pairs), max(len(prompt) + len(answer) for prompt, answer in pairs)
    ids, mask, labels = torch.zeros(shape).long(), torch.zeros(shape).long(), torch.full(shape, -100)
    for row, (prompt, answer) in enumerate(pairs):
        end = len(prompt) + len(answer)
        ids[row, :end], mask[row, :end] = torch.tensor(prompt + answer), 1
        labels[row, len(prompt) : end] = torch.tensor(answer)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def losses(model, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(the loss of each id of the answers: [ids], whether the model would write each answer exactly: [n])."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits[
        :, :-1
    ]
    labels = batch["labels"][:, 1:]
    answers = labels != -100
    right = ((logits.argmax(-1) == labels) | ~answers).all(1)
    return functional.cross_entropy(logits[answers], labels[answers], reduction="none"), right


def finetune(folder: Path, pairs: list[tuple[list[int], list[int]]], options: argparse.Namespace):
    """The model, trained with AdamW; the learning rate falls linearly to 0."""
    torch.manual_seed(options.seed)
    model = AutoModelForCausalLM.from_pretrained(folder).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, options.steps)
    order: list[int] = []
    for _ in range(options.steps):
        while len(order) < options.batch_size:
            order += torch.randperm(len(pairs)).tolist()
        chosen, order = order[: options.batch_size], order[options.batch_size :]
        loss = losses(model, batch_of([pairs[number] for number in chosen]))[0].mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


@torch.no_grad()
def evaluate(model, pairs: list[tuple[list[int], list[int]]]) -> tuple[float, float]:
    """(nats per id of the answers, share of the answers that are exactly right)."""
    model.eval()
    found = [losses(model, batch_of(pairs[first : first + 32])) for first in range(0, len(pairs), 32)]
    loss, right = (torch.cat(parts).float().mean().item() for parts in zip(*found, strict=True))
    return loss, right


@torch.no_grad()
def show(model, tokenizer, rows: list[Row], seed: int) -> None:
    """What the model writes after the instructions about one text."""
    text = random.Random(seed).choice(rows).text
    print(f"  {text}")
    for row in (row for row in rows if row.text == text):
        for prompt, _ in encode(tokenizer, [row]):
            written = model.generate(torch.tensor([prompt]), max_new_tokens=16, do_sample=False)[0, len(prompt) :]
            print(f"  {row.instruction} {tokenizer.decode(written, skip_special_tokens=True)} (right: {row.answer})")


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, family="llama", model="llama/model", steps=240, learning_rate=3e-3)
    columns = ("instruction", "input", "output")
    parser.add_argument("--input", type=rows_in(*columns), help=f"JSON lines: {', '.join(columns)}")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.num_threads)
    disable_progress_bar()

    rows = options.input or question_rows(options.seed)
    train, held_out = split(rows, options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    pairs, tests = encode(tokenizer, train), encode(tokenizer, held_out)
    if not (pairs and tests):
        parser.error(f"{len(rows)} rows are too few, or none fits into {LENGTH} ids: give more rows, or shorter ones")
    print(
        f"{len(pairs)} rows to train on, {len(tests)} held out, of other texts; "
        f"{len(rows) - len(pairs) - len(tests)} don't fit into {LENGTH} ids"
    )
    models = {
        "before": AutoModelForCausalLM.from_pretrained(options.model),
        "shuffled answers": finetune(options.model, encode(tokenizer, shuffled(train, options.seed)), options),
        "fine-tuned": finetune(options.model, pairs, options),
    }
    found = {name: evaluate(model, tests) for name, model in models.items()}
    for name, (loss, right) in found.items():
        print(f"{name:>16}: {loss:.3f} nats per id of the held-out answers, {right:.1%} of them exactly right")
    show(models["fine-tuned"], tokenizer, held_out, options.seed)
    return 0 if found["fine-tuned"][0] + MARGIN <= min(found["before"][0], found["shuffled answers"][0]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
