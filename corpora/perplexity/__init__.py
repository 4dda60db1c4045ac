"""The perplexity of documents under a KenLM model, and the models themselves.

Start with `model`: `PerplexityModel`, with the definition of perplexity.

Scoring, from text to one number per document:

    model               a model, a tokenizer and a mode -> perplexities
    text_batches        Python strings or Arrow arrays -> UTF-8, about a megabyte at a time
    line_scorers        the ways from bytes to scores of lines; the model's type and the tokenizer decide which is
    used raw_words           mode bertin: the words as KenLM sees them, and their number as Python counts it
    pieces              lines -> pieces, with SentencePiece itself
    probing             a memory-mapped probing binary: words -> ids -> scores
    vocabulary_kernels  words -> ids          ngram_kernels   ids -> the score of each line
    line_scores         lines -> documents    with_kenlm      the kenlm library, for files that `probing` can't read

Model files, which may come from anywhere and are not trusted:

    lm_files            LM.bin and its companions; the mode and tokenizer to use it with
    lm_manifest         LM.json, written beside every model that tamiz trains (as a manifest: corpora/lm_json.py)
    lm_header           the header of a file, checked before anything opens the file
    lm_sizes            where its tables are     lm_contents   its vocabulary, checked once
    routing             several models, one per language

Training, from texts to LM.bin, LM.spiece.model and LM.json:

    settings            what can be chosen       train_lm      the steps in turn
    lm_tokenizer        the model's own tokenizer
    small_text          a small corpus, with numpy: `ngram_counts` -> `kneser_ney` -> `kenlm_binary`, `arpa`
    estimation/         a large corpus, compiled, in bounded memory: the same bytes
    kenlm_hashes        KenLM's hash keys of n-grams

After scoring: `scores` reads the scores back, `calibration` summarises them.

To add a mode: `settings.ScoringMode`, and its lines in `line_scorers`. To add a type of model file: a class like
`probing.ProbingModel`, chosen in `model`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {"PerplexityModel": "corpora.perplexity.model"}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'corpora.perplexity' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
