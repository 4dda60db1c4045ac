"""How much of each source a mixture has: weights, temperature, UniMax; units; epochs; folders that can't be mixed."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.errors import BadArgument, StaleOutput
from corpora.rows import ShardRows, read_shards
from corpora.rows.blend import Blend, opened, require_alike
from corpora.rows.mixing import MIXTURES, Available
from corpora.rows.mixing.unimax import unimax
from corpora.rows.resolve import needed, resolve
from tests.make_shards import make_shards

# PyPI unimax_sampling's example: characters of mC4, 250 billion read, at most 4 epochs. The three languages without
# a figure there have any number of characters above a quarter of what they get.
CHARACTERS = {"fao": 549_707_867, "isl": 10_027_573_389, "ekk": 3e11, "swe": 4e11, "fas": 5e11}
TAKEN = {"fao": 2_198_831_468, "isl": 40_110_293_556, **dict.fromkeys(("ekk", "swe", "fas"), 69_230_291_658.67)}


def test_unimax_is_the_papers_algorithm():
    taken = unimax(CHARACTERS, 250e9, 4)
    assert taken == pytest.approx(TAKEN, rel=1e-12)
    assert sum(taken.values()) == pytest.approx(250e9)
    shares = {name: round(value / 250e9, 6) for name, value in taken.items()}
    assert shares == {"fao": 0.008795, "isl": 0.160441, "ekk": 0.276921, "swe": 0.276921, "fas": 0.276921}


def test_unimax_refuses_a_budget_that_it_cant_fill():
    with pytest.raises(BadArgument, match=r"the budget is 9, but 4 epochs of all sources are 8"):
        unimax({"a": 1, "b": 1}, 9, 4)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(1, 1e9), min_size=1),
    st.floats(0.01, 1),
    st.floats(0.5, 8),
)
def test_unimax_reads_no_source_too_often_and_all_others_alike(amounts, filled, epochs):
    budget = filled * epochs * sum(amounts.values())
    taken = unimax(amounts, budget, epochs)
    assert sum(taken.values()) == pytest.approx(budget)
    assert all(taken[name] <= epochs * amounts[name] * (1 + 1e-9) for name in amounts)
    most = max(taken.values())
    assert all(taken[n] == pytest.approx(min(most, epochs * amounts[n])) for n in amounts)


def test_temperature_is_a_power_of_the_size():
    available = {"es": Available(900, 90_000), "pt": Available(100, 10_000)}
    settings = MIXTURES.convert({"method": "temperature"})
    ratio = 9**0.3
    assert settings.shares(available, 1) == pytest.approx({"es": ratio / (1 + ratio), "pt": 1 / (1 + ratio)})
    assert MIXTURES.convert({"method": "temperature", "alpha": 0.0}).shares(available, 1)["es"] == 0.5
    assert MIXTURES.convert({"method": "temperature", "alpha": 1.0}).shares(available, 1)["es"] == pytest.approx(0.9)


def test_shares_of_a_unit_become_shares_of_rows():
    """Half of the bytes from each; a row of the second holds twice as many, so half as many rows."""
    available = {"es": Available(100, 20_000), "zh": Available(100, 40_000)}
    settings = MIXTURES.convert({"weights": {"es": 1.0, "zh": 1.0}, "unit": "bytes"}, "weights")
    assert settings.row_shares(available, 1) == pytest.approx({"es": 2 / 3, "zh": 1 / 3})


def test_a_source_without_rows_is_refused():
    settings = MIXTURES.convert({"method": "temperature", "unit": "documents"})
    with pytest.raises(BadArgument, match=r"zh has 0 training rows of 2 documents: it can't be mixed; give it more"):
        settings.row_shares({"es": Available(9, 100), "zh": Available(0, 2)}, 10)


@pytest.mark.parametrize("method", [{"method": "weights", "weights": {"es": 1.0, "none": 1.0}},
                                    {"method": "temperature"}, {"method": "unimax"}])  # fmt: skip
@pytest.mark.parametrize("unit", ["documents", "bytes", "tokens"])
@pytest.mark.parametrize("documents", [0, 3])  # 3: rejected, or too few for a row, so that no row has their ids
def test_no_method_takes_a_folder_without_rows(folders, tmp_path, method, unit, documents):
    own = {"documents": documents, "rows": 0, "row_ids": 0, "ids": 0, "separators": 0, "remainder": 0}
    rows = {"train": 0, "validation": 4}
    empty = make_shards(tmp_path / "none", rows=rows, account={"train": {**own, "text_bytes": 9 * documents}})
    counted = read_shards(folders["es"])
    account = {"train": msgspec.structs.replace(counted.facts.account["train"], text_bytes=999)}
    es = replace(counted, facts=msgspec.structs.replace(counted.facts, account=account))
    settings = MIXTURES.convert({**method, "unit": unit})
    with pytest.raises(BadArgument, match=f"none has 0 training rows of [0-9]+ {unit}: it can't be mixed"):
        resolve(settings, {"es": es, "none": read_shards(empty)}, 10)
    for use in (lambda given: ShardRows(given, batch_size=2), lambda given: needed(opened(given), 10)):
        with pytest.raises(
            BadArgument, match=r"none has no train.* rows: it can't be mixed|none has no rows in split"
        ):
            use({folders["es"]: 1.0, empty: 1.0})


def test_unimax_bounds_epochs_of_rows_in_any_unit():
    available = {"es": Available(1000, 50_000), "zh": Available(1000, 400_000), "ko": Available(20, 5_000)}
    settings = MIXTURES.convert({"method": "unimax", "unit": "bytes", "max_epochs": 2.0})
    for rows in (300, 1500, 4000):
        shares = settings.row_shares(available, rows)
        assert math.fsum(shares.values()) == pytest.approx(1)
        assert all(rows * shares[name] / available[name].rows <= 2 + 1e-9 for name in available)
    with pytest.raises(BadArgument, match=r"reads 4,041 rows, but 2 epochs .* 4,040: .*max_epochs to 2\.01"):
        settings.row_shares(available, 4041)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "weights", "weights": {}}, "weights is empty"),
        ({"method": "weights", "weights": {"es": 0.0}}, r"weights\.es is 0\.0; it must be above 0"),
        ({"method": "weights", "weights": {"es": math.inf}}, r"weights\.es is inf"),
        ({"method": "temperature", "alpha": 1.5}, r"alpha is 1\.5; it must be from 0 to 1"),
        ({"method": "unimax", "max_epochs": 0.0}, r"max_epochs is 0\.0; it must be above 0"),
        ({"method": "temperature", "weights": {"es": 1.0}}, "weights does not apply to the method temperature"),
        ({"method": "weights", "weights": {"es": 1.0}, "unit": "characters"}, "characters"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings, said):
    with pytest.raises(msgspec.ValidationError, match=said):
        MIXTURES.convert(settings)


def test_names_must_be_those_of_the_documents():
    settings = MIXTURES.convert({"method": "weights", "weights": {"es": 1.0, "chat": 2.0}})
    settings.check_names(["chat", "es"])
    with pytest.raises(ValueError, match=r"mixture\.weights\.chat: no \[\[documents\]\] .*; did you mean chats\?"):
        settings.check_names(["es", "chats"])
    with pytest.raises(ValueError, match=r"mixture\.weights\.chat: no .*; they are es, pt"):
        settings.check_names(["es", "pt"])
    with pytest.raises(ValueError, match=r"mixture\.weights\.ko is missing: give the documents 'ko' a number"):
        settings.check_names(["es", "chat", "ko"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("mixing")
    rows = {"es": 60, "pt": 30, "zh": 10}
    account = {"ids": 0, "separators": 0, "remainder": 0}
    return {
        name: make_shards(
            home / name,
            rows={"train": count, "validation": 4},
            seed=seed,
            account={"train": {**account, "documents": 5 * count, "rows": count, "row_ids": 16 * count}},
        )
        for seed, (name, count) in enumerate(rows.items())
    }


def test_a_training_that_reads_a_source_too_often_is_refused(folders):
    shards = {name: read_shards(folder) for name, folder in folders.items()}
    settings = MIXTURES.convert({"method": "weights", "weights": {"es": 2.0, "pt": 2.0, "zh": 1.0}})
    blend = resolve(settings, shards, 200)
    assert blend.names == ("es", "pt", "zh")
    assert [round(one.epochs, 3) for one in needed(blend, 200)] == [1.333, 2.667, 4.0]
    said = r"reads 240 rows, 20\.00% of them from zh, which has 10: that is 4\.8 epochs of it, and at most 4 are"
    with pytest.raises(BadArgument, match=said):
        resolve(settings, shards, 240)
    assert resolve(msgspec.structs.replace(settings, max_epochs=5.0), shards, 240).weights == blend.weights


def test_a_unit_that_the_manifest_doesnt_state_is_refused(folders):
    shards = {name: read_shards(folder) for name, folder in folders.items()}
    settings = MIXTURES.convert({"method": "temperature", "unit": "bytes"})
    with pytest.raises(BadArgument, match=r"doesn't state the bytes of es, as an older tamiz built it"):
        resolve(settings, shards, 10)
    assert resolve(msgspec.structs.replace(settings, unit="documents"), shards, 10).unit == "documents"


def test_which_source_each_row_is_from(folders):
    """By hand, through ShardRows: an epoch of all rows, shared out exactly, and how many were read."""
    weights = {folders["es"]: 1.0, folders["pt"]: 2.0, folders["zh"]: 0.5}
    dataset = ShardRows(weights, batch_size=10)
    assert (dataset.rows, dataset.steps_per_epoch) == (100, 10)
    counts = opened(weights).counts("train")
    assert counts == [29, 57, 14]
    assert dataset.rows_read(10) == counts
    assert dataset.rows_read(25)[2] in (2 * 14 + 7, 2 * 14 + 6, 2 * 14 + 8)
    of = {path: {tuple(ids) for b in itertools.islice(ShardRows(path, batch_size=2), 30) for ids in b["input_ids"]}
          for path in weights}  # fmt: skip
    found = Counter(
        next(place for place, rows in enumerate(of.values()) if tuple(ids) in rows)
        for batch in itertools.islice(dataset, 10)
        for ids in batch["input_ids"]
    )
    assert [found[place] for place in range(3)] == counts


def test_an_epoch_is_bounded_because_its_order_is_in_memory(folders, monkeypatch):
    monkeypatch.setattr("corpora.rows.blend.EPOCH_ROWS", 50)
    weights = {folders["es"]: 3.0, folders["zh"]: 2.0}
    assert opened(weights).counts("train") == [30, 20]
    assert ShardRows(weights, batch_size=10).steps_per_epoch == 5


@pytest.mark.parametrize("batch_size", [7, 10, 64, 100, 101, 250, 333])
def test_rows_read_are_those_of_the_batches(folders, batch_size):
    """In batches smaller and larger than an epoch, whose last rows are left out, or repeated."""
    weights = {folders["es"]: 1.0, folders["pt"]: 2.0, folders["zh"]: 0.5}
    dataset = ShardRows(weights, batch_size=batch_size)
    order = opened(weights).mixture("train")
    read, steps = Counter(), 2 * dataset.steps_per_epoch + 1
    for step in range(steps):
        assert dataset.rows_read(step) == [read[source] for source in range(3)]
        first = step % dataset.steps_per_epoch * batch_size
        read.update(order.at(0, np.arange(first, first + batch_size) % 100)[0].tolist())
    assert dataset.rows_read(steps) == [read[source] for source in range(3)]


def test_one_folder_with_a_weight_is_that_folder(folders):
    one, alone = ShardRows({folders["es"]: 0.3}, batch_size=7), ShardRows(folders["es"], batch_size=7)
    assert one.state_dict() == alone.state_dict()
    assert repr(one) == repr(alone)
    assert one.rows_read(3) == [21]


def test_a_state_of_other_weights_is_refused(folders):
    first = ShardRows({folders["es"]: 0.5, folders["pt"]: 0.5}, batch_size=5)
    other = ShardRows({folders["es"]: 0.6, folders["pt"]: 0.4}, batch_size=5)
    with pytest.raises(StaleOutput, match=r"saved for different data \(mixture: .*45, 45.* -> .*54, 36"):
        other.load_state_dict(first.state_dict())
    with pytest.raises(StaleOutput, match="different data"):
        ShardRows(folders["es"], batch_size=5).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tokenizer_sha256": "1" * 64}, r"tokenizer_sha256 is 000000000000\.\.\. in the first and 111111111111"),
        ({"objective": "causal"}, "objective is span-corruption in the first and causal in the second"),
        ({"widths": (20, 6)}, "sequence_length is 16 in the first and 20 in the second"),
        ({"vocab_size": 80}, "vocab_size is 64 in the first and 80 in the second"),
        ({"sentinel_ids": {"first": 50, "step": -1, "count": 9}}, "sentinel_ids is .*first=63.*first=50"),
        ({"scalars": {"num_tokens": 3}}, "the rows of the first have input_ids, labels, those of the second"),
    ],
)
def test_folders_that_differ_cant_be_mixed(folders, tmp_path, changed, said):
    other = make_shards(tmp_path / "other", **changed)
    with pytest.raises(BadArgument, match=rf"es and .*other can't be mixed: {said}"):
        ShardRows({folders["es"]: 1, folders["pt"]: 1, other: 1}, batch_size=2)


def test_what_an_older_manifest_leaves_out_differs_from_nothing(folders):
    es, pt = (read_shards(folders[name]) for name in ("es", "pt"))
    new, older, other = (
        replace(of, facts=msgspec.structs.replace(of.facts, bos_id=bos_id))
        for of, bos_id in ((es, 2), (pt, msgspec.UNSET), (pt, None))
    )
    require_alike(new, older)
    require_alike(older, new)
    with pytest.raises(BadArgument, match="bos_id is 2 in the first and None in the second"):
        require_alike(new, other)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([0.0, 1.0], r"the weight of .*es is 0\.0; it must be a number above 0"),
        ([math.nan, 1.0], "is nan; it must be"),
        ([math.inf, 1.0], "is inf; it must be"),
        (["1", 1.0], "is '1'; it must be"),
        ([1e-9, 1.0], r"the weight of es is 1e-09, 1e-09 of all: it would get none of the 90 rows"),
    ],
)
def test_weights_that_cant_be_are_refused(folders, weights, said):
    with pytest.raises(BadArgument, match=said):
        ShardRows(dict(zip((folders["es"], folders["pt"]), weights, strict=True)), batch_size=2)


def test_a_folder_is_named_once(folders):
    again = folders["es"].parent / "pt" / ".." / "es"
    with pytest.raises(BadArgument, match="is given twice"):
        opened({folders["es"]: 1.0, again: 2.0})
    with pytest.raises(BadArgument, match="no folder of shards is given"):
        opened({})


def test_facts_are_those_of_all_rows(folders):
    blend = opened({folders["es"]: 3.0, folders["zh"]: 1.0})
    assert isinstance(blend, Blend)
    assert blend.facts.rows == {"train": 70, "validation": 8}
    assert blend.facts.target_unigram_entropy_nats == 3.5
    for entropy, mean in ((5.5, 4.0), (None, None)):
        zh = msgspec.structs.replace(blend.sources[1].facts, target_unigram_entropy_nats=entropy)
        other = replace(blend, sources=(blend.sources[0], replace(blend.sources[1], facts=zh)))
        assert other.facts.target_unigram_entropy_nats == mean
    assert blend.shares == [0.75, 0.25]
    assert blend.fingerprint != opened({folders["es"]: 1.0, folders["zh"]: 1.0}).fingerprint


def test_rows_of_a_split_that_the_first_folder_lacks_are_counted(folders, tmp_path):
    first = make_shards(tmp_path / "first", rows={"train": 20})
    assert opened({first: 1.0, folders["es"]: 1.0}).facts.rows == {"train": 80, "validation": 4}
