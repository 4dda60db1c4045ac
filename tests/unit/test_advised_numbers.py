"""Every number that a message advises works when it is taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from corpora.encoding import load_encoder
from corpora.encoding.byte_encoder import ByteEncoder
from corpora.errors import BadArgument, TamizError
from corpora.tokens.build import check_settings
from corpora.tokens.denoisers import Denoiser
from corpora.tokens.objectives import ShardSettings, SpanCorruption, Ul2
from tests.unit.test_tokenizer_folders import SENTENCES
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer

TEXTS = {
    "one word": ["casa"],
    "a sentence": SENTENCES[:1],
    "repeats": ["ana banana anana"] * 30,
    "sentences": SENTENCES,
    "many words": [f"palabra{n} otra{n % 7} más{n % 11}" for n in range(60)],
}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_the_advised_vocabulary_can_be_trained(tmp_path: Path, kind: str, texts: list[str]) -> None:
    for extra_ids, sample in ((0, None), (7, 1000)):
        asked = {"kind": kind, "extra_ids": extra_ids, "sample": sample or 1000, "num_threads": 1}
        for vocab_size in (500, 5000):
            try:
                train_tokenizer(lambda: texts, tmp_path, TokenizerSettings(**asked, vocab_size=vocab_size))
            except TamizError as error:
                message = str(error)
            else:
                continue
            assert "--fill-unused" in message
            advised = re.search(r"supports at most (\d+): set it to \1,", message)
            if advised is None:
                assert f"too small for any vocabulary of kind {kind}: give more text" in message
                continue
            train_tokenizer(lambda: texts, tmp_path, TokenizerSettings(**asked, vocab_size=int(advised[1])))
            assert load_encoder(str(tmp_path)).vocab_size == int(advised[1])


def test_a_vocabulary_below_the_characters_is_told_the_least(tmp_path: Path) -> None:
    texts = TEXTS["many words"] * 5
    for kind, size in (("unigram", 12), ("bpe", 270)):
        asked = {"kind": kind, "extra_ids": 2, "sample": 1000, "num_threads": 1}
        with pytest.raises(TamizError, match=r"characters alone need more than \d+") as told:
            train_tokenizer(lambda: texts, tmp_path, TokenizerSettings(**asked, vocab_size=size))
        least = int(str(told.value).split("need more than ")[1].split(":")[0]) + 1
        train_tokenizer(lambda: texts, tmp_path, TokenizerSettings(**asked, vocab_size=least))


def test_the_bounds_of_vocab_size_are_allowed() -> None:
    for kind in ("unigram", "bpe"):
        for extra_ids in (0, 1, 100):
            with pytest.raises(ValueError, match="it must be ") as told:
                TokenizerSettings(kind=kind, vocab_size=0, extra_ids=extra_ids)
            for bound in re.findall(r"(\d+) to (\d+)", str(told.value))[0]:
                TokenizerSettings(kind=kind, vocab_size=int(bound), extra_ids=extra_ids)


@pytest.mark.parametrize("extra_ids", [0, 1, 100])
def test_bytes_need_no_vocab_size(extra_ids: int) -> None:
    assert TokenizerSettings(kind="bytes", extra_ids=extra_ids).vocab_size == 259 + extra_ids
    with pytest.raises(ValueError, match=f"set vocab_size to {259 + extra_ids}"):
        TokenizerSettings(kind="bytes", extra_ids=extra_ids, vocab_size=4)


def mixtures(length: int) -> list[Callable[[], ShardSettings]]:
    only_suffix = (Denoiser(name="S", noise_density=0.25, mean_noise_span_length=None),)
    return [
        lambda: SpanCorruption(sequence_length=length),
        lambda: SpanCorruption(sequence_length=length, noise_density=0.5, mean_noise_span_length=1.0),
        lambda: Ul2(sequence_length=length),
        lambda: Ul2(sequence_length=length, denoisers=only_suffix),
    ]


@pytest.mark.parametrize("length", [20, 128, 512, 2048])
@pytest.mark.parametrize("number", range(4))
def test_the_advised_number_of_sentinels_suffices(length: int, number: int) -> None:
    try:
        settings = mixtures(length)[number]()
    except ValueError:
        pytest.skip("the noise doesn't fit the length")
    with pytest.raises(BadArgument, match=r"--extra-ids \d+") as told:
        check_settings(settings, ByteEncoder(0))
    check_settings(settings, ByteEncoder(int(str(told.value).split("--extra-ids ")[1])))
    if isinstance(settings, Ul2):
        assert "--noise-density" not in str(told.value)  # ul2 has no such option
