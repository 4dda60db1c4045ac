"""Exports the embedding of a model, as word2vec's text format has it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from tamiz.trainer.exports import EXPORTS, Export, Source
from tamiz.trainer.families import ModelSettings


@EXPORTS.register
class Vectors(Export, frozen=True, kw_only=True, tag="vectors"):
    """The embedding as text."""

    title: ClassVar[str] = "Embedding"
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = "train"

    def unfit(self, family: type[ModelSettings], config: Mapping[str, Any]) -> str | None:
        return None if config["vocab_size"] < 100_000 else "has more than 100,000 ids"

    def write(self, source: Source, out) -> None:
        from transformers import AutoTokenizer

        weights = source.weights()  # name -> tensor
        names = ("shared.weight", "model.embed_tokens.weight", "transformer.wte.weight")
        rows = weights[next(name for name in names if name in weights)].tolist()
        tokens = AutoTokenizer.from_pretrained(source.folder).convert_ids_to_tokens(range(len(rows)))
        lines = [" ".join([str(token), *map(str, row)]) for token, row in zip(tokens, rows, strict=True)]
        (out / "vectors.txt").write_text("\n".join([f"{len(rows)} {len(rows[0])}", *lines, ""]))

    def usage(self, source: Source) -> str:
        return 'lines = open("vectors.txt").read().splitlines()\n'
