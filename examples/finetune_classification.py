"""Fine-tunes a T5 to tell where passages are from, and compares it with always predicting the most frequent class.

    python examples/finetune_classification.py --model demo/model

The steps of `python -m tamiz.finetune`, one by one. The task is text to text: the target is the name of the class,
and the model predicts the class whose name it finds most likely. Passages of one document are on the same side of the
split. The exit code is 0 if the model is better than the most frequent class by MARGIN, else 1.
"""

from collections import Counter

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from corpora.errors import TamizError
from finetune_options import parser_of
from tamiz.recipes.load import DEMO
from tamiz.trainer import finetune as library

CLASSES, ROWS, LENGTH = 3, 1600, 80  # ids of a passage


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, family="t5", model="demo/model", steps=400, batch_size=8, learning_rate=1e-3)
    parser.add_argument("--input", default=str(DEMO / "documents.jsonl"), help="documents [those of the demo]")
    options = parser.parse_args(arguments)
    disable_progress_bar()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.num_threads)
    try:
        documents = library.label_by_address(library.read(options.input, label_column=None))
        passages = [passage for text, label in documents for passage in library.passages(text, label)]
        train, held_out = library.split(library.choose(passages, CLASSES, ROWS, options.seed), options.seed)
    except TamizError as error:
        parser.error(str(error))
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForSeq2SeqLM.from_pretrained(options.model, dropout_rate=0.0)  # so small a model learns sooner

    labels = sorted({passage.label for passage in (*train, *held_out)})
    names = library.target_ids(tokenizer, labels)  # what the model is to write, as ids
    print(f"{len(train)} passages to train on, {len(held_out)} held out, of other documents: {', '.join(labels)}")
    library.finetune(model, library.encode(tokenizer, train, labels, LENGTH), names, options)

    rows = library.encode(tokenizer, held_out, labels, LENGTH)
    accuracy = (library.predict(model, rows, names) == rows.classes).float().mean().item()
    baseline = max(Counter(passage.label for passage in held_out).values()) / len(held_out)
    print(f"right: {accuracy:.1%} of the held-out passages; always the most frequent class: {baseline:.1%}")
    return 0 if accuracy >= baseline + library.MARGIN else 1


if __name__ == "__main__":
    raise SystemExit(main())
