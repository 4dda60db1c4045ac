"""Loads a trained model by transformers' own class, to generate with it or to fine-tune it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpora.errors import DamagedFile, in_a_line
from tamiz.trainer.quiet import quietly
from tamiz.trainer.weight_files import Weights


def load_model(folder: str | Path, automatic: Any, **config: Any) -> tuple[Any, Any]:
    """(model, tokenizer). automatic: such as AutoModelForCausalLM; config: replaces values of config.json.

    Raises BadArgument for a folder without weights, DamagedFile for weights or a tokenizer that can't be read.
    """
    from transformers import AutoTokenizer

    Weights(Path(folder))  # names the file that is damaged, which transformers doesn't
    with quietly():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except Exception as error:  # whatever a damaged file makes it raise
            said = in_a_line(error)
            raise DamagedFile(f"the tokenizer in {folder} is damaged ({said}): copy the model again") from None
        return automatic.from_pretrained(folder, **config), tokenizer
