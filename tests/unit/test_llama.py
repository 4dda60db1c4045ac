"""Llama: its shape, its loss against transformers' own, padding, exact resume, and what it writes."""

from __future__ import annotations

import math
from functools import partial

import msgspec
import pytest
import torch
from torch.nn import functional

from corpora import files
from corpora.errors import BadArgument
from corpora.tokens.denoisers import SpanCorruptionSettings
from corpora.tokens.objectives import Causal, SpanCorruption
from tamiz.cards.model import CardFacts, model_card
from tamiz.trainer.families import FAMILIES
from tamiz.trainer.families.base import IGNORED, ModelSettings
from tamiz.trainer.families.causal import ids_read
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.generation import generate
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps, optimizer
from tamiz.trainer.train import train
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("quick_plots")

TINY = Llama(
    vocab_size=VOCAB_SIZE, hidden_size=16, intermediate_size=32, num_layers=2, num_heads=4, num_kv_heads=2,
    max_position_embeddings=32, document_masks=False,
)  # fmt: skip
SETTINGS = TrainSettings(
    num_threads=1, steps=12, batch_size=5, micro_batch_size=2, learning_rate=0.01, warmup_steps=4, weight_decay=0.1,
    validate_every=5, checkpoint_every=3,
)  # fmt: skip
CAUSAL = Causal(sequence_length=17)


def test_the_published_shapes_have_their_parameters():
    """TeenyTinyLlama: 160m and 460m (arXiv:2401.16640)."""
    assert Llama(vocab_size=32000).num_parameters() == 162_417_408
    larger = Llama(vocab_size=32000, hidden_size=1024, intermediate_size=4096, num_layers=24, num_heads=16)
    assert larger.num_parameters() == 468_239_360
    tied = Llama(vocab_size=32000, tie_embeddings=True)
    assert tied.num_parameters() == 162_417_408 - 32000 * 768


def test_the_config_is_what_the_settings_say():
    config = TINY.build(seed=0, pad_id=0, eos_id=1, bos_id=2).config
    assert (config.pad_token_id, config.eos_token_id, config.bos_token_id) == (0, 1, 2)
    assert (config.num_key_value_heads, config.rms_norm_eps, config.tie_word_embeddings) == (2, 1e-5, False)
    assert config.rope_parameters["rope_theta"] == 10000.0
    other = msgspec.structs.replace(TINY, rope_theta=5e5, num_kv_heads=None, tie_embeddings=True)
    built = other.build(seed=0)
    assert (built.config.rope_parameters["rope_theta"], built.config.num_key_value_heads) == (5e5, 4)
    assert built.lm_head.weight is built.model.embed_tokens.weight


def test_the_seed_decides_the_weights_and_nothing_else_does():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again = TINY.build(seed=1).state_dict(), TINY.build(seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert {value.dtype for value in first.values()} == {torch.float32}
    assert not torch.equal(first["lm_head.weight"], TINY.build(seed=2).state_dict()["lm_head.weight"])


def rows(width, count=4, seed=0):
    return torch.randint(3, VOCAB_SIZE, (count, width), generator=torch.Generator().manual_seed(seed))


def steps(family=TINY, **settings):
    chosen = TrainSettings(**{"steps": 10, "batch_size": 4, "learning_rate": 0.01} | settings)
    device = torch.device("cpu")
    micro_rows = chosen.micro_batch_size or 4
    return Steps(family.build(seed=0), family, chosen, device, micro_rows=micro_rows, bfloat16=False, pad_id=0)


@pytest.mark.parametrize(
    ("width", "read"), [(17, 16), (16, 16), (18, 18), (2049, 2048), (2048, 2048), (3, 2), (2, 2)]
)
def test_mesh_style_rows_give_a_power_of_two(width, read):
    assert ids_read(width) == read
    prepared = TINY.prepare({"input_ids": rows(width)}, 0)
    assert prepared["input_ids"].shape == prepared["targets"].shape == (4, read)
    assert int((prepared["targets"] != IGNORED).sum()) == 4 * (width - 1)


@pytest.mark.parametrize("width", [16, 17, 18])
def test_the_loss_is_transformers_own(width):
    one, ids = steps(), rows(width)
    expected = one.model.eval()(input_ids=ids, labels=ids).loss.item()
    assert one.validate([{"input_ids": ids}]) == pytest.approx(expected, rel=1e-6)
    assert one.train({"input_ids": ids}, 0.01) == pytest.approx(expected, rel=1e-6)


def slow_loss(model, ids, lengths):
    """One row at a time, cut to its length, one target at a time: (sum, targets)."""
    total, count = 0.0, 0
    for row, length in zip(ids, lengths, strict=True):
        logits = model(input_ids=row[None, :length]).logits[0]
        for position in range(length - 1):
            total += -functional.log_softmax(logits[position].double(), -1)[row[position + 1]].item()
            count += 1
    return total, count


@pytest.mark.parametrize("width", [16, 17])
def test_padding_is_neither_predicted_nor_seen(width):
    """Rows of several lengths against each row alone, without its padding; also with pad ids inside the text."""
    one, ids, lengths = steps(micro_batch_size=3), rows(width), [width, 9, 2, 1]
    ids[0, 4] = 0
    for row, length in zip(ids, lengths, strict=True):
        row[length:] = 0
    batch = {"input_ids": ids, "num_tokens": torch.tensor(lengths)}
    prepared = TINY.prepare(batch, 0)
    assert [int(n) for n in (prepared["targets"] != IGNORED).sum(1)] == [width - 1, 8, 1, 0]
    total, count = slow_loss(one.model.eval(), ids, lengths)
    assert one.validate([batch]) == pytest.approx(total / count, rel=1e-6)
    other = ids.clone()
    other[1, 9:] = 7  # what stands in padding doesn't matter
    assert one.validate([{**batch, "input_ids": other}]) == one.validate([batch])


def test_an_eos_that_is_the_pad_id_learns():
    built = TINY.build(seed=0, pad_id=1, eos_id=1)
    ids = rows(9)
    ids[:, 3] = 1
    TINY.loss(built, TINY.prepare({"input_ids": ids}, 1)).backward()
    assert built.model.embed_tokens.weight.grad[1].abs().sum() > 0


def test_matrices_decay_and_norms_do_not():
    built = TINY.build(seed=0)
    decayed, kept = optimizer(built, TINY, TrainSettings(steps=1, weight_decay=0.1)).param_groups
    names = {id(p): name for name, p in built.named_parameters()}
    kept_names = [names[id(p)] for p in kept["params"]]
    assert len(kept_names) == 2 * 2 + 1
    assert all(name.endswith("norm.weight") for name in kept_names)
    assert len(kept_names) + len(decayed["params"]) == len(names)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("shards") / "s"
    return make_shards(folder, tokenizer=tokenizer, objective="causal", widths=(17, 0))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, shards, tokenizer):
    out = tmp_path_factory.mktemp("model") / "m"
    card = partial(model_card, facts=CardFacts(language="es"))
    return out, train(shards, tokenizer, out, TINY, SETTINGS, card=card, report=lambda _: None)


def test_training_lowers_the_loss_and_transformers_loads_it(finished):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out, metrics = finished
    assert metrics["validation_loss"] < metrics["initial_validation_loss"]
    assert metrics["initial_validation_loss"] == pytest.approx(math.log(VOCAB_SIZE), abs=0.1)
    assert metrics["tokens"] == 12 * 5 * 16
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert sum(p.numel() for p in model.parameters()) == metrics["parameters"]
    ids = torch.tensor([tokenizer.encode("palabra0 palabra1 palabra2", add_special_tokens=False)])
    assert ids.tolist() == [[3, 4, 5]]
    assert torch.isfinite(model(input_ids=ids).logits).all()


def test_training_learns_a_text_that_repeats():
    one, ids = steps(), torch.arange(3, 20).repeat(4, 1)
    first = one.train({"input_ids": ids}, 0.01)
    for _ in range(40):
        last = one.train({"input_ids": ids}, 0.01)
    assert last < first / 4


def test_the_card_tells_of_a_causal_model(finished):
    import yaml

    text = (finished[0] / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert (head["pipeline_tag"], head["tags"]) == ("text-generation", ["llama", "tamiz"])
    for part in ("# A Llama trained with tamiz", "AutoModelForCausalLM.from_pretrained", "| objective | causal |"):
        assert part in text
    assert "| ids in a row | 16, each predicted from the previous ids |" in text


def test_it_continues_a_text(finished):
    out, _ = finished
    made = generate(out, "palabra0  palabra1", max_new_tokens=3)
    assert made.startswith("palabra0  palabra1")
    assert made == generate(out, "palabra0  palabra1", max_new_tokens=3)
    assert isinstance(generate(out, "", max_new_tokens=2), str)
    with pytest.raises(BadArgument, match="the text has 1 ids and max_new_tokens is 32; the sum must be at most 32"):
        generate(out, "palabra0", max_new_tokens=32)


def test_a_span_to_fill_is_warned_of(finished, caplog):
    generate(finished[0], "palabra0 <extra_id_0>", max_new_tokens=2)
    assert "<extra_id_0> is taken as plain text: a causal model continues a text" in caplog.text


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("step", [5, 10])
def test_a_run_stopped_ends_as_if_it_had_not(finished, shards, tokenizer, tmp_path, step):
    def report(line):
        if line.startswith(f"step {step}:"):
            raise Interrupted

    with pytest.raises(Interrupted):
        train(shards, tokenizer, tmp_path, TINY, SETTINGS, report=report)
    again = train(shards, tokenizer, tmp_path, TINY, SETTINGS, report=lambda _: None)
    assert files.sha256(tmp_path / "model.safetensors") == files.sha256(finished[0] / "model.safetensors")
    assert again["history"] == finished[1]["history"]


def test_short_rows_train(tokenizer, tmp_path):
    made = make_shards(
        tmp_path / "s", tokenizer=tokenizer, objective="causal", widths=(17, 0), scalars={"num_tokens": 9}
    )
    metrics = train(made, tokenizer, tmp_path / "m", TINY, SETTINGS, report=lambda _: None)
    assert metrics["validation_loss"] < metrics["initial_validation_loss"]


def test_shards_that_do_not_suit_it_are_refused_by_name(shards, tokenizer, tmp_path):
    corrupted = make_shards(tmp_path / "s", tokenizer=tokenizer)
    with pytest.raises(BadArgument, match=r"holds span-corruption rows.*'llama'.*--objective causal"):
        train(corrupted, tokenizer, tmp_path / "a", TINY, SETTINGS)
    short = msgspec.structs.replace(TINY, max_position_embeddings=15)
    with pytest.raises(BadArgument, match="rows of 16 ids to read, but this Llama reads at most 15"):
        train(shards, tokenizer, tmp_path / "b", short, SETTINGS)
    smaller = msgspec.structs.replace(TINY, vocab_size=63)
    with pytest.raises(BadArgument, match="at least 64"):
        train(shards, tokenizer, tmp_path / "c", smaller, SETTINGS)


def test_rows_beyond_the_tokenizer_are_allowed(shards, tokenizer, tmp_path):
    """Embeddings padded to a width that kernels like."""
    padded = msgspec.structs.replace(TINY, vocab_size=128)
    metrics = train(shards, tokenizer, tmp_path, padded, SETTINGS, report=lambda _: None)
    assert metrics["validation_loss"] < metrics["initial_validation_loss"]


@pytest.mark.parametrize(
    ("shards", "train_settings", "message"),
    [
        (SpanCorruption(sequence_length=16), {}, "needs 'causal'"),
        (CAUSAL, {"span_corruption": SpanCorruptionSettings()}, r"train\.span_corruption is for t5, not llama"),
        (Causal(sequence_length=65), {}, "64 ids to read, .* at most 32"),
    ],
)
def test_a_recipes_mistakes_are_named(shards, train_settings, message):
    with pytest.raises(ValueError, match=message):
        TINY.check_shards(shards, TrainSettings(steps=1, **train_settings))


def test_a_recipe_that_fits_is_accepted():
    TINY.check_shards(CAUSAL, TrainSettings(steps=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 18}, "hidden_size is 18; it must be a multiple of twice num_heads"),
        ({"num_kv_heads": 3}, "num_kv_heads is 3; it must divide num_heads"),
        ({"num_kv_heads": 0}, "num_kv_heads is 0"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"rope_theta": 0.0}, "rope_theta is 0.0; it must be above 0"),
        ({"initializer_range": 1.5}, "initializer_range is 1.5; it must be at most 1"),
    ],
)
def test_settings_out_of_bounds_name_value_and_bound(settings, message):
    given = {"family": "llama", "vocab_size": 64, "hidden_size": 16, "num_heads": 4} | settings
    with pytest.raises(msgspec.ValidationError, match=message):
        FAMILIES.convert(given)


def test_keys_of_another_family_are_refused_by_name():
    assert FAMILIES.convert({"vocab_size": 100}) == T5(vocab_size=100)
    assert FAMILIES.convert({"family": "llama", "vocab_size": 100}) == Llama(vocab_size=100)
    with pytest.raises(BadArgument, match=r"model\.d_kv is for family t5, not llama: remove it"):
        FAMILIES.convert({"family": "llama", "vocab_size": 100, "d_kv": 8})
    with pytest.raises(BadArgument, match=r"model\.rope_theta is for family llama, not t5"):
        FAMILIES.convert({"vocab_size": 100, "rope_theta": 1e4})
    with pytest.raises(msgspec.ValidationError, match="unknown field `depth`"):
        FAMILIES.convert({"vocab_size": 100, "depth": 8})
    with pytest.raises(BadArgument, match="family is 'lama'; it must be one of t5, llama"):
        FAMILIES.convert({"family": "lama", "vocab_size": 100})


def test_a_tied_output_layer_survives_saving(shards, tokenizer, tmp_path):
    from transformers import AutoModelForCausalLM

    tied = msgspec.structs.replace(TINY, tie_embeddings=True)
    metrics = train(shards, tokenizer, tmp_path, tied, SETTINGS, report=lambda _: None)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert sum(p.numel() for p in loaded.parameters()) == metrics["parameters"] == tied.num_parameters()


def test_a_family_that_lacks_a_method_says_which():
    class Unfinished(ModelSettings, frozen=True, kw_only=True, tag="unfinished"):
        pass

    unfinished = Unfinished(vocab_size=8)
    for method, arguments in (
        ("new", (0, 1, None)),
        ("prepare", ({}, 0)),
        ("loss", (None, {})),
        ("ids_per_row", (None,)),
    ):
        with pytest.raises(NotImplementedError, match=f"Unfinished must define `{method}`"):
            getattr(unfinished, method)(*arguments)
