"""The objectives on real text: UL2's mixture, separators by choice, rows on character borders, recounts."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from corpora.encoding.byte_encoder import CONTINUATION_IDS, ByteEncoder
from corpora.errors import BadArgument, DamagedFile
from corpora.randomness import digest
from corpora.texts import utf8
from corpora.tokens.account import row_ids
from corpora.tokens.build import build_item, check_settings, finish_tails
from corpora.tokens.build_facts import shard_facts
from corpora.tokens.denoisers import UL2, Denoiser
from corpora.tokens.objectives import OBJECTIVES, Causal, SpanCorruption, Ul2
from corpora.tokens.shards import ShardWriter, read_rows
from tests.reference import keyed_spans
from tests.reference import t5_span_corruption as t5

ENCODER = ByteEncoder(128)
SENTINELS = set(range(259, 387))


@pytest.fixture(scope="module")
def texts(demo):
    lines = (demo / "documents.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line)["text"] for line in lines] + ["한국어 문장입니다. " * 200, "日本語の文。" * 150]


def stream(texts: list[str]) -> list[int]:
    return [i for text in texts for i in [*(b + 3 for b in text.encode()), 1]]


def build(texts, folder, encoder=ENCODER, **settings):
    """(settings, the item, rows of its training split)."""
    chosen = OBJECTIVES.convert({"validation_fraction": 0.0, **settings})
    item = build_item([utf8(texts[:99]), utf8(texts[99:])], encoder, chosen, folder=folder, part="p")
    return chosen, item, read_rows(folder / "train/p.parquet")


def unpadded(row: list[int]) -> list[int]:
    return [i for i in row if i != 0]


def test_ul2_rows_give_back_the_stream_and_say_their_denoiser(texts, tmp_path):
    settings, item, rows = build(texts, tmp_path, objective="ul2", sequence_length=256)
    shapes, kinds = shapes_of(settings), rows["denoiser"]
    assert (rows["input_ids"].shape[1], rows["labels"].shape[1]) == (256, max(s.label_length for s in shapes))
    assert kinds.dtype == np.uint8
    raw = []
    for inputs, labels, kind in zip(rows["input_ids"].tolist(), rows["labels"].tolist(), kinds.tolist(), strict=True):
        own, spans = unpadded(labels), shapes[kind].num_noise_spans
        assert len(own) == shapes[kind].num_noise_tokens + spans + 1 or len(own) == shapes[kind].label_length - 1
        assert sum(i in SENTINELS for i in inputs) == spans
        raw += t5.reassemble(unpadded(inputs), own, SENTINELS, eos_id=1)
        if UL2[kind].name == "S":
            assert inputs[-2:] == [259, 1]  # a prefix to go on from
    assert raw + item.splits["train"].tail.array.tolist() == stream(texts)
    assert item.splits["train"].row_kinds == np.bincount(kinds, minlength=7).tolist()


def test_ul2_takes_denoisers_by_their_shares():
    settings = Ul2(denoisers=(
        Denoiser(name="R", noise_density=0.15, mean_noise_span_length=3.0, share=3),
        Denoiser(name="S", noise_density=0.25, mean_noise_span_length=None, share=1),
    ))  # fmt: skip
    chosen, base = settings.rows(ENCODER), digest(0, "test")
    kinds = chosen.kinds(base, 0, 40_000)
    assert abs(kinds.mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 40_000)
    assert np.array_equal(np.concatenate([chosen.kinds(base, 0, 7), chosen.kinds(base, 7, 93)]), kinds[:100])


def test_a_span_of_64_in_512_is_the_end_of_the_row_unless_it_rolls():
    for roll, end in ((None, False), (True, False), (False, True)):
        settings = Ul2(denoisers=UL2[5:6], random_roll=roll)
        chosen = settings.rows(ENCODER)
        ids = np.arange(600 * 50, dtype=np.uint16) % 200 + 3
        rows = chosen.store(_rows(ids, 600), digest(0, "x"), 0)["input_ids"]
        at = np.argmax(rows == 259, axis=1)
        assert (at == 510).all() == end


def _rows(ids, width):
    from corpora.tokens.rows import Rows

    count = len(ids) // width
    return Rows(ids, np.arange(count + 1) * width, np.empty(0, np.int64), np.zeros(count, np.uint8))


def test_too_few_sentinels_for_ul2_are_named_before_any_text_is_read():
    with pytest.raises(
        BadArgument, match=r"denoiser X \(3, 0\.5\) has 128 noise spans .* has 100 sentinels.*--extra-ids 128"
    ):
        check_settings(Ul2(), ByteEncoder(100))
    check_settings(Ul2(), ByteEncoder(128))


@pytest.mark.parametrize(("bos", "eos"), [(False, True), (True, True), (True, False), (False, False)])
@pytest.mark.parametrize("packing", ["concatenate", "best-fit"])
def test_separators_by_choice(texts, tmp_path, bos, eos, packing):
    class WithBos(ByteEncoder):
        bos_id = 2

    chosen = {"objective": "causal", "sequence_length": 512, "packing": packing, "bos": bos, "eos": eos}
    _, item, rows = build(texts, tmp_path, WithBos(), **chosen)
    split = item.splits["train"]
    documents = len(texts)
    assert (split.documents, split.separators) == (documents, documents * (bos + eos))
    ids, tail = rows["input_ids"], split.tail.array
    for mark, wanted in ((2, bos), (1, eos)):
        assert int((ids == mark).sum() + (tail == mark).sum()) == documents * wanted


def test_sentinels_that_are_no_run_are_named():
    class Scattered(ByteEncoder):
        def sentinel_id(self, number):
            return super().sentinel_id(number) + (number > 3)

    with pytest.raises(BadArgument, match="<extra_id_0> is id 259 and <extra_id_4> is id 264"):
        check_settings(SpanCorruption(sequence_length=128), Scattered(100))


@pytest.mark.parametrize("chosen", [{}, {"objective": "ul2"}])
def test_noise_and_denoisers_are_keyed_by_split_part_and_row(texts, tmp_path, monkeypatch, chosen):
    """Whatever the row groups: row 20 of the file has the noise of row 20, not of the first of its group."""
    monkeypatch.setattr("corpora.tokens.build.group_rows", lambda _: 16)
    settings, _, rows = build(texts, tmp_path, sequence_length=256, random_roll=False, **chosen)
    base, shapes = digest(settings.seed, "rows", "train", "p"), shapes_of(settings)
    count = len(rows["input_ids"])
    draws = [key / 2**64 for key in keyed_spans.keys(digest(base, "denoiser"), 0, count)]
    kinds = [int(draw * len(shapes)) for draw in draws]
    assert count > 32
    assert rows.get("denoiser", np.zeros(count)).tolist() == kinds
    for row, key, kind in zip(rows["input_ids"].tolist(), keyed_spans.keys(base, 0, count), kinds, strict=True):
        shape = shapes[kind]
        mask = keyed_spans.mask(key, shape.raw_length, shape.num_noise_tokens, shape.num_noise_spans, False)
        kept_or_begun = [i for i, masked in enumerate(mask) if not masked or not mask[i - 1]]
        assert [i in SENTINELS for i in unpadded(row)] == [*(mask[i] for i in kept_or_begun), False]


@pytest.mark.parametrize("chosen", [{"objective": "ul2"}, {"objective": "causal", "packing": "best-fit"}])
def test_padding_is_no_target(texts, tmp_path, chosen):
    _, item, rows = build(texts, tmp_path, sequence_length=256, **chosen)
    targets = rows["labels"] if "labels" in rows else rows["input_ids"][:, 1:]
    expected = np.bincount(targets.reshape(-1), minlength=ENCODER.vocab_size)
    assert expected[ENCODER.pad_id] > 0
    expected[ENCODER.pad_id] = 0  # of which the text has none
    assert item.splits["train"].counts(ENCODER.vocab_size).tolist() == expected.tolist()


def test_best_fit_rows_stand_in_an_order_of_their_own_in_each_window(tmp_path, monkeypatch):
    monkeypatch.setattr("corpora.tokens.best_fit.WINDOW_IDS", 64 * 64)
    corpus = [chr(97 + i % 26) * 63 for i in range(64)] * 2  # each fills a row: two equal windows
    _, _, rows = build(corpus, tmp_path, objective="causal", packing="best-fit", sequence_length=64)
    first, second = rows["input_ids"][:64, 0].tolist(), rows["input_ids"][64:, 0].tolist()
    came = [97 + i % 26 + 3 for i in range(64)]
    assert sorted(first) == sorted(second) == sorted(came)
    assert came != first != second


def test_bos_needs_a_tokenizer_that_has_one():
    with pytest.raises(BadArgument, match="needs a bos_token"):
        check_settings(Causal(bos=True), ENCODER)


def test_rows_on_character_borders_begin_with_a_character(texts, tmp_path):
    for objective_, width in (("causal", 257), ("span-corruption", 128)):
        settings, item, rows = build(
            texts, tmp_path / objective_, objective=objective_, sequence_length=width, character_borders=True
        )
        raw = []
        for row in range(len(rows["input_ids"])):
            ids = rows["input_ids"][row].tolist()
            if objective_ == "causal":
                ids = ids[: rows["num_tokens"][row]]
                assert width - 3 <= len(ids) <= width
            else:
                ids = t5.reassemble(unpadded(ids), unpadded(rows["labels"][row].tolist()), SENTINELS, eos_id=1)
            assert ids[0] not in CONTINUATION_IDS
            raw += ids
        assert raw + item.splits["train"].tail.array.tolist() == stream(texts)
        facts = shard_facts([item], ENCODER, settings)
        assert row_ids(tmp_path / objective_ / "train/p.parquet", facts) == item.splits["train"].row_ids


@pytest.mark.parametrize("objective_", ["causal", "span-corruption"])
def test_rows_that_fall_short_leave_less_than_a_row_all_the_same(tmp_path, objective_):
    """Of many rows two thirds are a byte or two short: more of them are left at the end than a group has."""
    options = {"objective": objective_, "sequence_length": 16, "character_borders": True, "validation_fraction": 0.0}
    settings = OBJECTIVES.convert(options)
    raw = settings.rows(ENCODER).widths[0]
    group = 2**18 // 16 if objective_ == "causal" else 2**18 // (16 + shapes_of(settings)[0].label_length)
    item = build_item([utf8(["한" * (group * raw // 3)])], ENCODER, settings, folder=tmp_path, part="p")
    split = item.splits["train"]
    assert split.rows > group
    assert split.tail.num_ids < raw
    assert len(read_rows(tmp_path / "train/p.parquet")["input_ids"]) == split.rows


def test_rows_between_characters_have_room_for_their_noise(tmp_path):
    with pytest.raises(msgspec.ValidationError, match="rows of 15 ids: 9 noise spans need as many gaps, but only 6"):
        OBJECTIVES.convert(SHORT | {"noise_density": 0.5, "mean_noise_span_length": 1.0})
    tightest = {"noise_density": 0.4, "mean_noise_span_length": 1.0, "validation_fraction": 0.0}
    settings = OBJECTIVES.convert(SHORT | tightest)
    (shape,) = shapes_of(settings)
    assert shape.raw_length - 3 - shape.num_noise_tokens == shape.num_noise_spans == 8
    corpus = ["한a😀é" * 400]
    item = build_item([utf8(corpus)], ENCODER, settings, folder=tmp_path, part="p")
    rows = read_rows(tmp_path / "train/p.parquet")
    pairs = zip(rows["input_ids"].tolist(), rows["labels"].tolist(), strict=True)
    raw = [i for row, spans in pairs for i in t5.reassemble(unpadded(row), unpadded(spans), SENTINELS, eos_id=1)]
    assert raw + item.splits["train"].tail.array.tolist() == stream(corpus)


SHORT = {"objective": "span-corruption", "sequence_length": 20, "character_borders": True}


def test_character_borders_are_for_bytes():
    class Other:
        vocab_size, bos_id, eos_id, pad_id, num_sentinels = 100, None, 1, 0, 0

    with pytest.raises(BadArgument, match="--character-borders is only for byte tokenizers"):
        check_settings(Causal(character_borders=True), Other())


@pytest.mark.parametrize(
    "chosen",
    [
        {"objective": "causal", "sequence_length": 300},
        {"objective": "causal", "sequence_length": 300, "packing": "best-fit"},
        {"objective": "span-corruption", "sequence_length": 128},
        {"objective": "span-corruption", "sequence_length": 128, "noise_density": 0.5, "mean_noise_span_length": 1.5},
        {"objective": "ul2", "sequence_length": 256},
    ],
)
def test_the_rows_are_counted_again(texts, tmp_path, chosen):
    settings, item, _ = build(texts, tmp_path, **chosen)
    last = finish_tails([item], ENCODER, settings, folder=tmp_path, part="q")
    facts = shard_facts([item, last], ENCODER, settings)
    for part in (item.splits["train"], last.splits["train"]):
        assert not part.file or row_ids(tmp_path / part.file, facts) == part.row_ids
    account = facts.asdict()["account"]["train"]
    assert account["ids"] + account["separators"] == account["row_ids"] + account["remainder"] == len(stream(texts))
    assert account["rows"] == facts.rows["train"]
    assert sum(account.get("rows_by_denoiser", [account["rows"]])) == account["rows"]


def test_rows_are_counted_where_text_yields_the_id_of_padding(texts, tmp_path):
    """As of SentencePiece's default, a model without a pad piece: 0 is unknown, too."""

    class WithoutPad(ByteEncoder):
        pad_id = ord("a") + 3

    encoder = WithoutPad(128)
    for chosen in ({"objective": "ul2", "sequence_length": 256}, {"sequence_length": 128}):
        settings, item, _ = build(texts, tmp_path / str(len(chosen)), encoder=encoder, **chosen)
        path = tmp_path / str(len(chosen)) / "train/p.parquet"
        assert row_ids(path, shard_facts([item], encoder, settings)) == item.splits["train"].row_ids


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("labels", 5, "different sentinels"),
        ("input_ids", 999, "id 999 in a vocabulary of 387"),
        (None, 0, "no column"),
    ],
)
def test_rows_that_cannot_be_are_told(texts, tmp_path, column, value, named):
    settings, item, rows = build(texts, tmp_path, objective="span-corruption", sequence_length=128)
    facts = shard_facts([item], ENCODER, settings)
    rows = {name: array.copy() for name, array in rows.items()}
    if column:
        rows[column][0, 0] = value
    specs = {n: (array.shape[1], array.dtype) for n, array in rows.items() if column or n != "labels"}
    with ShardWriter(tmp_path / "bad.parquet", specs) as writer:
        writer.write({name: rows[name] for name in specs})
    with pytest.raises(DamagedFile, match=named):
        row_ids(tmp_path / "bad.parquet", facts)


def shapes_of(settings):
    return [noise.shape for noise in settings.noises]


R = {"name": "R", "noise_density": 0.15, "mean_noise_span_length": 3.0}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"objective": "ul2", "packing": "best-fit"}, "best-fit is for causal rows"),
        ({"objective": "causal", "packing": "best-fit", "character_borders": True}, "packing concatenate"),
        ({"denoisers": [{"name": "R", "noise_density": 0.1, "mean_noise_span_length": 3.0}]}, "for ul2, not span"),
        (
            {"objective": "ul2", "sequence_length": 64},
            "denoiser X: .*=64, .* no span; raise sequence_length",
        ),
        ({"window_groups": 0}, "window_groups is 0"),
        (
            {"objective": "causal", "random_roll": True},
            "random_roll is True, but it is for span-corruption and ul2",
        ),
        ({"objective": "ul2", "denoisers": [R | {"share": 1e308}] * 2}, "sum of the denoisers' shares overflows"),
    ],
)
def test_bad_settings_are_named(options, named):
    with pytest.raises(msgspec.ValidationError, match=named):
        OBJECTIVES.convert(options)
