"""Training: the vocabulary's layout, its bounds, and the same bytes twice."""

from __future__ import annotations

import random

import pytest
import sentencepiece

from corpora.encoding.sentencepiece.model_proto import (
    NORMAL,
    PIECES,
    SELF_TEST_DATA,
    TRAINER_SPEC,
    UNUSED,
    encode,
    encode_piece,
    fields,
    read_model,
)
from corpora.errors import TamizError
from corpora.randomness import digest
from tokenizer_train.sample import LARGEST_SHARE, draw
from tokenizer_train.settings import TokenizerSettings
from tokenizer_train.train import train_tokenizer
from tokenizer_train.unigram import SENTENCE_CHARACTERS, sentences, train_unigram

SMALL = TokenizerSettings(vocab_size=400, extra_ids=20)


@pytest.fixture(scope="module")
def model(texts) -> bytes:
    return train_unigram(texts, SMALL)


def processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=model)


def test_layout(model):
    engine = processor(model)
    assert engine.vocab_size() == 380
    assert [engine.id_to_piece(i) for i in range(3)] == ["<pad>", "</s>", "<unk>"]
    assert (engine.pad_id(), engine.eos_id(), engine.unk_id(), engine.bos_id()) == (0, 1, 2, -1)


def test_scores_are_multiples_of_a_32nd(model):
    scores = [piece.score for piece in read_model(model, "m").pieces if piece.type == NORMAL]
    assert len(scores) == 377
    assert all(score * 32 == round(score * 32) for score in scores)


def test_nothing_of_the_machine_is_kept(model):
    top = list(fields(model))
    (spec,) = ({f.number: f.value for f in fields(f.value)} for f in top if f.number == TRAINER_SPEC)
    assert not {1, 2, 6, 7, 16} & set(spec)
    assert not any(f.number == SELF_TEST_DATA for f in top)


def test_the_wire_format_is_read_and_written_whole(model):
    assert encode(fields(model)) == model
    own = [f.value for f in fields(model) if f.number == PIECES]
    assert [encode_piece(piece) for piece in read_model(model, "m").pieces] == own


def test_the_same_bytes_twice(texts, model):
    assert train_unigram(texts, SMALL) == model


def test_lowercasing_is_in_the_normaliser(texts, model):
    engine = processor(model)
    assert engine.encode("Árbol DE LA Ñ") == engine.encode("árbol de la ñ")
    cased = processor(train_unigram(texts, TokenizerSettings(vocab_size=400, extra_ids=20, lowercase=False)))
    assert cased.encode("La") != cased.encode("la")


def test_too_many_pieces_names_the_most_that_the_text_carries(texts):
    few = texts[:20]
    with pytest.raises(TamizError, match=r"vocab_size is 5000 .*supports at most (\d+): .*--fill-unused") as raised:
        train_unigram(few, TokenizerSettings())
    most = int(str(raised.value).split("supports at most ")[1].split(":")[0])
    assert processor(train_unigram(few, TokenizerSettings(vocab_size=most))).vocab_size() == most - 100
    with pytest.raises(TamizError, match=f"vocab_size is {most + 1} .*supports at most {most}:"):
        train_unigram(few, TokenizerSettings(vocab_size=most + 1))


def test_too_few_pieces_for_the_characters(texts):
    with pytest.raises(TamizError, match=r"vocab_size is 30 .*characters alone need more than \d+"):
        train_unigram(texts, TokenizerSettings(vocab_size=30, extra_ids=10))


@pytest.mark.parametrize("texts", [[], ["", " \n "]])
def test_no_text(texts):
    with pytest.raises(TamizError, match="no text to train a tokenizer on"):
        train_unigram(texts, SMALL)


def test_unused_pieces_fill_the_vocabulary_and_text_never_yields_them(texts):
    pieces = read_model(train_unigram(texts[:20], TokenizerSettings(fill_unused=True)), "m").pieces
    unused = [piece for piece in pieces if piece.type == UNUSED]
    assert len(pieces) == 4900
    assert [piece.text for piece in unused[:2]] == ["<unused_0>", "<unused_1>"]
    engine = processor(train_unigram([*texts[:20], "<unused_3> _" * 50], TokenizerSettings(fill_unused=True)))
    ids = engine.encode("uno <unused_3> <unused_1000><unused_0>")
    assert not any(engine.is_unused(i) for i in ids)
    assert engine.is_unused(4899)


def test_sentences_lose_nothing_and_stay_short():
    line = " ".join(f"palabra{n}" for n in range(2000))
    unbroken = "ñ" * 2500
    parts = list(sentences(f"{line}\n\n{unbroken}\r\nuno\0dos"))
    assert max(map(len, parts)) <= SENTENCE_CHARACTERS
    assert "".join(parts) == line + unbroken + "\runo dos"
    assert next(p for p in parts if "palabra17" in p).split()[17] == "palabra17"


def test_a_draw_takes_the_smallest_keys_within_the_bounds():
    texts = [f"documento {n} " + "a" * (n % 90) for n in range(500)]
    by_key = sorted(texts, key=lambda text: digest(3, "tokenizer", text))
    taken, size = [], 0
    while size + len(by_key[len(taken)]) <= 9000:
        taken.append(by_key[len(taken)])
        size += len(taken[-1])
    shuffled = random.Random(1).sample(texts, len(texts))
    for order in (texts, shuffled):
        sample = draw(order, seed=3, most=None, most_bytes=9000)
        assert sample.texts == taken
        assert (sample.used_bytes, sample.seen, sample.seen_bytes) == (size, 500, sum(map(len, texts)))
    assert draw(texts, seed=3, most=40, most_bytes=9000).texts == taken[:40]
    assert draw(texts, seed=4, most=40, most_bytes=9000).texts != taken[:40]


def test_a_draw_cuts_long_documents_and_keeps_repeated_ones():
    texts = ["ñ" * 100_000, *(["corto"] * 30)]
    sample = draw(texts, seed=0, most=None, most_bytes=3200)
    assert sorted(map(len, sample.texts)) == [5] * 30 + [3200 // LARGEST_SHARE // 2]
    assert sample.cut == 1


def test_a_draw_takes_all_or_none_of_a_repeated_document():
    texts = [f"documento {n}" for n in range(20)] * 5
    for most in range(90, 95):
        found = [sorted(draw(order, seed=0, most=most, most_bytes=10**6).texts) for order in (texts, sorted(texts))]
        assert found[0] == found[1]
        assert len(found[0]) == 90


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 100}, "vocab_size is 100: with 100 extra_ids it must be 108 to"),
        ({"kind": "bytes", "vocab_size": 400}, "vocab_size is 400, but kind 'bytes' with 100 extra_ids has 359 ids"),
        ({"extra_ids": -1}, "extra_ids is -1"),
        ({"character_coverage": 0.5}, r"character_coverage is 0\.5: it must be 0\.98 to 1"),
        ({"sample": 0}, "sample is 0"),
        ({"sample_bytes": 0}, "sample_bytes is 0"),
        ({"num_threads": 0}, "num_threads is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_out_of_bounds(settings, message):
    with pytest.raises(ValueError, match=message):
        TokenizerSettings(**settings)


def test_facts(texts, tmp_path):
    facts = train_tokenizer(lambda: texts, tmp_path, SMALL)
    assert facts["vocab_size"] == 400
    assert facts["pieces"] == 377
    assert facts["documents"] == facts["documents_seen"] == len(texts)
    assert facts["bytes"] == sum(len(text.encode()) for text in texts)
    assert facts["self_check"]["different"] == 0
    assert facts["self_check"]["documents"] == min(len(texts), 300)
    assert sorted(facts["files"]) == sorted(path.name for path in tmp_path.iterdir())
