"""config.json of a published model: what in it changes the function of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import BadArgument, DamagedFile, in_a_line
from tamiz.trainer.quiet import quietly

if TYPE_CHECKING:
    from tamiz.trainer.families.base import ModelSettings

# what the function of the weights doesn't depend on; ids are compared with those of the shards elsewhere
_FREE = {
    "_name_or_path", "architectures", "attention_dropout", "attn_pdrop", "bos_token_id", "chunk_size_feed_forward",
    "classifier_dropout", "dropout_rate", "dtype", "embd_pdrop", "eos_token_id", "id2label", "initializer_factor",
    "initializer_range", "label2id", "output_attentions", "output_hidden_states", "pad_token_id", "pretraining_tp",
    "problem_type", "resid_pdrop", "return_dict", "transformers_version", "use_cache",
}  # fmt: skip
_SAME = {"gelu_pytorch_tanh": "gelu_new", "swish": "silu"}  # other names of the same function


def read_config(folder: Path) -> Any:
    """transformers' config of a folder that has a config.json. Raises DamagedFile if it can't be read."""
    from transformers import AutoConfig

    try:
        with quietly():
            return AutoConfig.from_pretrained(folder)
    except Exception as error:  # whatever a damaged config makes it raise
        path = folder / "config.json"
        raise DamagedFile(f"{path} can't be read ({in_a_line(error)}): copy the model again") from None


def check_function(init: str, config: Any, built: Any, family: type[ModelSettings]) -> None:
    """Raises BadArgument for weights that would be another function here, because their config has a value that no
    setting of the family describes.

    config, built: transformers' configs of the weights and of the model that is to be trained, whose settings agree.
    """
    theirs, ours = config.to_dict(), built.to_dict()
    if theirs.get("quantization_config"):
        raise BadArgument(f"{init} is quantised (quantization_config): start from the model before that")
    for key in sorted((theirs.keys() & ours.keys()) - _FREE - family.described):
        a, b = theirs[key], ours[key]
        if _plain(a) != _plain(b):
            raise BadArgument(
                f"{init} has {key} {a!r}, but a {family.title} is trained here with {b!r}, so its weights would be "
                "another function: start from another model"
            )


def _plain(value: Any) -> Any:
    return _SAME.get(value, value) if isinstance(value, str) else value
