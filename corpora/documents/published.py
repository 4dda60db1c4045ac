"""Published corpora by name: where their files are, their licences, and whom to cite.

The files' names are as their own loading scripts and cards give them (looked up on 2026-11-29, not listed over a
network): mC4's and C4's in the script of allenai/c4, mc4-es-sampled's in bertin-roberta-base-spanish's
utils/download_mc4es_sampled.py, those of the Portuguese corpora in their cards (`data/train-*`), Wikipedia's
configurations (`20231101.LANGUAGE`) in scripts that load them.
"""

from __future__ import annotations

from corpora.config import Config


class Source(Config, frozen=True, kw_only=True):
    """A published corpus."""

    name: str
    """Its name in recipes."""

    language: str
    """Its ISO 639-1 code."""

    pattern: str
    """Where its files are: a pattern for work_items."""

    licence: str
    """For cards."""

    citation: str
    """For cards."""


_COMMON_CRAWL = "ODC-BY 1.0, and Common Crawl's terms of use for the content"
_TEENY = "Corrêa et al. 2024, TeenyTinyLlama (arXiv:2401.16640)"


def _mc4(language: str) -> Source:
    """mC4: about 71 months of Common Crawl, by language."""
    return Source(
        name=f"mc4-{language}",
        language=language,
        # the dot after the language leaves out c4-zh-Latn.* and c4-zh-validation.*
        pattern=f"hf://datasets/allenai/c4/multilingual/c4-{language}.*.json.gz",
        licence=_COMMON_CRAWL,
        citation="Xue et al. 2021, mT5 (arXiv:2010.11934); the copy of https://huggingface.co/datasets/allenai/c4",
    )


def _wikipedia(language: str) -> Source:
    """The articles of one Wikipedia, without markup."""
    return Source(
        name=f"wikipedia-{language}",
        language=language,
        pattern=f"hf://datasets/wikimedia/wikipedia/20231101.{language}/*.parquet",
        licence="CC BY-SA 3.0 and GFDL",
        citation="Wikimedia Foundation, dump of 2023-11-01, https://huggingface.co/datasets/wikimedia/wikipedia",
    )


_OTHERS = (
    Source(
        name="c4-en",
        language="en",
        pattern="hf://datasets/allenai/c4/en/c4-train.*.json.gz",  # C4: one month, filtered; mc4-en is all of mC4's
        licence=_COMMON_CRAWL,
        citation="Raffel et al. 2020, T5 (arXiv:1910.10683); the copy of https://huggingface.co/datasets/allenai/c4",
    ),
    Source(
        name="mc4-es-sampled",
        language="es",
        # the gaussian sample; there are `random` and `stepwise`, too
        pattern="hf://datasets/bertin-project/mc4-es-sampled/mc4-es-train-50M-gaussian-shard-*.json.gz",
        licence=_COMMON_CRAWL,
        citation="De la Rosa et al. 2022, BERTIN (arXiv:2207.06814), "
        "https://huggingface.co/datasets/bertin-project/mc4-es-sampled",
    ),
    Source(
        name="mmarco-es",
        language="es",
        pattern="hf://datasets/unicamp-dl/mmarco/data/google/collections/spanish_collection.tsv",
        licence="none on its card; a translation of MS MARCO, whose terms allow non-commercial research",
        citation="Bonifacio et al. 2021, mMARCO (arXiv:2108.13897), https://huggingface.co/datasets/unicamp-dl/mmarco",
    ),
    Source(
        name="pt-corpus",
        language="pt",
        pattern="hf://datasets/nicholasKluge/Pt-Corpus/data/train-*.parquet",
        licence="other: those of its seven sources, CC BY-SA 3.0, CC BY-NC-ND 4.0, ODC-BY and CC0 among them",
        citation=f"{_TEENY}, https://huggingface.co/datasets/nicholasKluge/Pt-Corpus",
    ),
    Source(
        name="pt-corpus-instruct",
        language="pt",
        pattern="hf://datasets/nicholasKluge/Pt-Corpus-Instruct/data/train-*.parquet",
        licence="other: those of its eleven sources, CC BY-NC 4.0, CC BY-NC-ND 4.0 and Llama 2's among them",
        citation=f"{_TEENY}, https://huggingface.co/datasets/nicholasKluge/Pt-Corpus-Instruct",
    ),
)
_LANGUAGES = ("en", "es", "ja", "ko", "pt", "zh")
_FAMILIES = (family(language) for family in (_mc4, _wikipedia) for language in _LANGUAGES)

SOURCES = {source.name: source for source in sorted((*_FAMILIES, *_OTHERS), key=lambda source: source.name)}
