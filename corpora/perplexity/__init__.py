"""The perplexity of documents under a KenLM model, and the models themselves.

Start with `model`: `PerplexityModel`, with the definition of the figure.

Scoring, from text to one number a document:

    model               a model, a tokenizer and a mode -> perplexities
    text_batches        Python strings or Arrow arrays -> UTF-8, about a megabyte at a time
    line_scorers        the ways from bytes to scores of lines; the model's type and the tokenizer decide which serves
    raw_words           mode bertin: the words that KenLM sees, and how many Python counts
    pieces              lines -> pieces, by SentencePiece itself
    probing             a probing binary, mapped: words -> ids -> scores
    vocabulary_kernels  words -> ids          ngram_kernels   ids -> the score of each line
    line_scores         lines -> documents    with_kenlm      the kenlm library, for files that `probing` can't read

Model files, which may come from anywhere and are not trusted:

    lm_files            LM.bin and what belongs to it; which mode and tokenizer it is used with
    lm_manifest         LM.json, written beside every model of ours (as a manifest: corpora/lm_json.py)
    lm_header           the head of a file, checked before anything opens it
    lm_sizes            where its tables lie     lm_contents   its vocabulary, checked once
    routing             several models, one a language

Training, from texts to LM.bin, LM.spiece.model and LM.json:

    settings            what can be chosen       train_lm      the steps in turn
    lm_tokenizer        the model's own tokenizer
    small_text          a small corpus, with numpy: `ngram_counts` -> `kneser_ney` -> `kenlm_binary`, `arpa`
    estimation/         a large one, compiled, in bounded memory: the same bytes
    kenlm_hashes        KenLM's keys of n-grams

What became of the scores: `scores` reads them back, `calibration` sums them up.

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
