"""tamiz: from raw web text to a perplexity-sampled corpus, a tokenizer, packed shards and a trained language model.

tamiz --help        the commands; `tamiz run RECIPE` runs all stages of a recipe
corpora             score, sample, corrupt and pack from Python; stored data (`help(corpora)`)
tokenizer_train     text to a tokenizer folder
pipelines           the same functions as Beam transforms
tamiz.trainer       torch: ShardDataset, the training loop
tamiz.recipes       one file per published system
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Looks the version up only when it is used: importlib.metadata takes a while."""
    if name == "__version__":
        from importlib.metadata import version

        return version("tamiz")
    raise AttributeError(f"module 'tamiz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
