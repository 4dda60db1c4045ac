"""Sentences of cards: what a reader must know of any sample, tokenizer or model of this kind."""

from __future__ import annotations

from collections.abc import Sequence

from corpora.documents.published import SOURCES

SIEVED = (
    "{kept} of {documents} documents ({share}), drawn by their perplexity under a language model, by tamiz. "
    "Perplexity says how hard a text is to predict for a model of clean text: menus, keyword lists, broken encodings "
    "and other languages are at the high end, repetitive text at the low end.\n"
)
PERPLEXITY_PLOT = "![Documents by perplexity before and after sampling, with the keep probability]({name})"
SAMPLE_LIMITS = (
    "Perplexity is no measure of truth, quality or harm. Texts that the language model has seldom seen, such as "
    "dialects, poetry, code and names, are hard to predict and are drawn less often. Nothing was removed for its "
    "content: the texts are unchanged, come from others, and may contain personal data, offensive text and texts "
    "that occur more than once. Whoever publishes or uses them answers for that.\n"
)
MODEL_LIMITS = (
    "The model repeats what its training text says, with its errors and prejudices, and may repeat personal data "
    "from it. Its only measure is the loss above: it was tested on no task. It was not trained to follow instructions "
    "or to refuse.\n"
)
TOKENIZER_LIMITS = (
    "The figures are of text that the tokenizer learned from: on other text, words have more tokens. `tamiz "
    "tokenizer eval` compares tokenizers on any text.\n"
)
NOT_STATED = "Not stated: the documents are under the licences of their sources.\n"

_METHODS = {
    "gaussian": "Documents near the median perplexity are the most likely to be kept; the farther from it, in either "
    "direction, the less likely.",
    "stepwise": "The keep probability depends on the quartile of the perplexity alone.",
    "random": "Every document had the same probability to be kept, whatever its perplexity.",
    "buckets": "Documents are parted into buckets by perplexity, as CCNet's head, middle and tail; each has a keep "
    "probability.",
}
_PER = {
    "language": "Each language was fitted by itself.",
    "source": "Each source was fitted by itself.",
    "language,source": "Each language of each source was fitted by itself.",
}
_IDENTIFIERS = {"ODC-BY 1.0": "odc-by", "CC BY-SA 3.0": "cc-by-sa-3.0", "CC BY-SA 4.0": "cc-by-sa-4.0",
                "CC BY 4.0": "cc-by-4.0", "Apache 2.0": "apache-2.0", "CC0": "cc0-1.0", "MIT": "mit"}  # fmt: skip


def method(name: str, per: str) -> str:
    """How documents were drawn, in words."""
    drawn = "The draw depends on the document and the seed alone, so that it can be repeated."
    return " ".join(part for part in (_METHODS.get(name, ""), _PER.get(per, ""), drawn) if part)


def licence(stated: str, source_datasets: Sequence[str]) -> str:
    """What is stated; else that nothing is, and which licences the known sources have."""
    if stated:
        return f"{stated}, as its publisher states. The texts are others': their own terms hold as well.\n"
    lines = [NOT_STATED]
    for repo in source_datasets:
        known = next((one.licence for one in SOURCES.values() if f"hf://datasets/{repo}/" in one.pattern), None)
        if known:
            name = next((name for said, name in _IDENTIFIERS.items() if known.startswith(said)), None)
            proposal = f"; if all documents are from there, state `license: {name}`" if name else ""
            lines.append(f"`{repo}` is under {known}{proposal}.\n")
    return "\n".join(lines)
