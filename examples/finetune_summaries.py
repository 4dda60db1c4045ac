"""Fine-tunes a T5 to summarise texts, and tells whether its summaries are about the text that it reads.

    python examples/finetune_summaries.py --model demo/model
    python examples/finetune_summaries.py --model demo/model --input rows.jsonl

It compares the loss of held-out summaries with that of the same summaries when the model reads another text, and the
summaries that it writes with the first sentences of the texts (the lead), by ROUGE-L. Without --input, the rows are
those of finetune_rows.py; in a file, each line has a text and a summary. The exit code is 0 if the loss is better by
MARGIN than with other texts and ROUGE-L is better than the lead's, else 1.
"""

import argparse
import re

import torch
from torch.nn import functional
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from finetune_options import parser_of
from finetune_rows import Row, news_rows, rouge_l, rows_in, split

LENGTH = 128  # ids of a text; what is longer is cut
SUMMARY_LENGTH = 48  # ids of a summary
MARGIN = 0.05  # nats per id of the summaries


def encode(tokenizer, texts: list[str], length: int, fill: int) -> torch.Tensor:
    """The first `length` ids of each text, including </s>: int64 [n, longest], padded with `fill`."""
    found = [tokenizer.encode(text, add_special_tokens=False)[: length - 1] for text in texts]
    ids = torch.full((len(texts), max(map(len, found)) + 1), fill)
    for row, known in enumerate(found):
        ids[row, : len(known) + 1] = torch.tensor([*known, tokenizer.eos_token_id])
    return ids


def losses(model, tokenizer, texts: list[str], summaries: list[str]) -> torch.Tensor:
    """The loss of each id of the summaries: [ids]. The padding of labels, -100, doesn't count."""
    ids = encode(tokenizer, texts, LENGTH, tokenizer.pad_token_id)
    labels = encode(tokenizer, summaries, SUMMARY_LENGTH, -100)
    decoder_ids = model.prepare_decoder_input_ids_from_labels(labels)
    mask = (ids != tokenizer.pad_token_id).long()
    logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder_ids, use_cache=False).logits
    counted = labels != -100
    return functional.cross_entropy(logits[counted], labels[counted], reduction="none")


def finetune(model, tokenizer, rows: list[Row], options: argparse.Namespace) -> None:
    """Trains with AdamW; the learning rate falls linearly to 0."""
    torch.manual_seed(options.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, options.steps)
    order: list[int] = []
    model.train()
    for step in range(1, options.steps + 1):
        while len(order) < options.batch_size:
            order += torch.randperm(len(rows)).tolist()
        chosen, order = [rows[n] for n in order[: options.batch_size]], order[options.batch_size :]
        loss = losses(model, tokenizer, [row.text for row in chosen], [row.answer for row in chosen]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % max(1, options.steps // 10) == 0:
            print(f"step {step} of {options.steps}: loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def held_out_loss(model, tokenizer, texts: list[str], summaries: list[str]) -> float:
    """Nats per id of the summaries."""
    model.eval()
    starts = range(0, len(texts), 32)
    return (
        torch.cat([losses(model, tokenizer, texts[n : n + 32], summaries[n : n + 32]) for n in starts]).mean().item()
    )


@torch.no_grad()
def summarise(model, tokenizer, texts: list[str]) -> list[str]:
    """Greedily. Sentinels, which mark masked spans in pretraining, are suppressed."""
    model.eval()
    sentinels = [number for token, number in tokenizer.get_vocab().items() if token.startswith("<extra_id_")]
    written = []
    for first in range(0, len(texts), 32):
        ids = encode(tokenizer, texts[first : first + 32], LENGTH, tokenizer.pad_token_id)
        written += model.generate(
            input_ids=ids,
            attention_mask=(ids != tokenizer.pad_token_id).long(),
            max_new_tokens=SUMMARY_LENGTH,
            do_sample=False,
            suppress_tokens=sentinels or None,
        )
    return tokenizer.batch_decode(written, skip_special_tokens=True)


def mean_rouge_l(written: list[str], rows: list[Row]) -> float:
    return sum(rouge_l(text, row.answer) for text, row in zip(written, rows, strict=True)) / len(rows)


def lead(text: str) -> str:
    return re.split(r"(?<=[.!?])\s+", text.strip())[0]


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, family="t5", model="demo/model", steps=400, learning_rate=2e-3)
    parser.add_argument("--input", type=rows_in("", "text", "summary"), help="JSON lines: text, summary")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.num_threads)
    disable_progress_bar()

    rows = options.input or news_rows(options.seed)
    train, held_out = split(rows, options.seed)
    if not train or len(held_out) < 2:
        parser.error(f"{len(rows)} rows are too few to hold some out: give more texts")
    model = AutoModelForSeq2SeqLM.from_pretrained(options.model, dropout_rate=0.0)  # so small a model learns sooner
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    print(f"{len(train)} texts to train on, {len(held_out)} held out")
    finetune(model, tokenizer, train, options)

    texts, summaries = [row.text for row in held_out], [row.answer for row in held_out]
    others = [*texts[1:], texts[0]]
    own, other = (held_out_loss(model, tokenizer, given, summaries) for given in (texts, others))
    print(f"nats per id of the held-out summaries: {own:.3f}; if the model reads another text: {other:.3f}")
    written = summarise(model, tokenizer, texts)
    score, of_other, of_lead = (
        mean_rouge_l(found, held_out)
        for found in (written, summarise(model, tokenizer, others), [lead(text) for text in texts])
    )
    print(
        f"ROUGE-L of its summaries: {score:.3f}; of those of another text: {of_other:.3f}; of the lead: {of_lead:.3f}"
    )
    for row, found in list(zip(held_out, written, strict=True))[:3]:
        print(f"  {row.text}\n    -> {found} (right: {row.answer})")
    return 0 if own + MARGIN <= other and score > of_lead else 1


if __name__ == "__main__":
    raise SystemExit(main())
