"""Exports of a trained model to the formats of other programs: one file and one settings class each, tagged by `to`.

An export says which families it takes, what it needs installed, how it writes its files and how they are loaded (see
`Export`). To add one, write a subclass and register it:

    @EXPORTS.register
    class Onnx(Export, frozen=True, kw_only=True, tag="onnx"):
        ...

Importing an export imports neither torch nor the format's library: only its methods do.
"""

from __future__ import annotations

from corpora.choices import Choices
from tamiz.trainer.exports.base import Export, Source, config_of, read_source

__all__ = ["EXPORTS", "Export", "Source", "config_of", "read_source"]

EXPORTS: Choices[type[Export]] = Choices(
    "export",
    "to",
    {
        "keras": "tamiz.trainer.exports.keras_preset:Keras",
        "nf4": "tamiz.trainer.exports.nf4:Nf4",
        "gguf": "tamiz.trainer.exports.gguf_file:Gguf",
    },
)
