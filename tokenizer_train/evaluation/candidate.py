"""A tokenizer with everything that its evaluation needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from corpora.encoding import Encoder, load_encoder
from corpora.errors import BadArgument
from tokenizer_train.evaluation.auto_tokenizer import AutoForm, auto_form
from tokenizer_train.evaluation.read_back import ReadBack, read_back
from tokenizer_train.evaluation.words import word_prefix


@dataclass(frozen=True)
class Candidate:
    """name: for tables. prefix: put before a word, see `words`. auto: None if tokenizer.json isn't compared."""

    name: str
    encoder: Encoder
    text: ReadBack
    prefix: str
    auto: AutoForm | None


def load_candidate(path_or_name: str, name: str, *, compare_auto: bool = True) -> Candidate:
    """Raises BadArgument or DamagedFile if the tokenizer can't be loaded."""
    encoder = load_encoder(path_or_name)
    return Candidate(
        name=name,
        encoder=encoder,
        text=read_back(path_or_name, encoder),
        prefix=word_prefix(encoder),
        auto=auto_form(path_or_name) if compare_auto else None,
    )


def names_of(tokenizers: Sequence[str], given: Sequence[str] | None = None) -> list[str]:
    """A name for each: the given one, or the end of its path, long enough to tell them apart.

    Raises BadArgument for a repeat, or another number of names than tokenizers.
    """
    parts = [PurePath(path).parts[::-1] for path in tokenizers]
    repeated = [path for n, path in enumerate(tokenizers) if parts[n] in parts[:n]]
    if repeated:
        raise BadArgument(f"the tokenizer {repeated[0]} is given twice: list each once")
    if given is not None:
        return _given_names(given, len(tokenizers))
    names = []
    for own in parts:
        length = 1
        while length < len(own) and sum(own[:length] == other[:length] for other in parts) > 1:
            length += 1
        names.append("/".join(own[:length][::-1]).lstrip("/"))
    return names


def _given_names(given: Sequence[str], number: int) -> list[str]:
    names = [name.strip() for name in given]
    if len(names) != number:
        raise BadArgument(
            f"there are {number} tokenizers and {len(names)} names ({', '.join(names)}): name each once"
        )
    repeated = next((name for n, name in enumerate(names) if not name or name in names[:n]), None)
    if repeated is not None:
        raise BadArgument(f"the name {repeated!r} is empty or given twice: give each tokenizer its own")
    return names
