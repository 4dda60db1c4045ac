"""`t5-backbone` is `t5` under KerasHub's names: equal models, and its own words for what can't be."""

from __future__ import annotations

import inspect
import json

import msgspec
import pytest
import torch
from transformers import T5Config

from corpora.errors import BadArgument
from tamiz.recipes.load import load
from tamiz.trainer.families import FAMILIES
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.families.t5_backbone import T5Backbone
from tamiz.trainer.generation import family_of
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tamiz.trainer.warm_start import load as load_weights
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread", "quick_plots")

ROWS = VOCAB_SIZE + 8
SMALL = {"vocab_size": ROWS, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 24}
SAME = {"vocab_size": ROWS, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2, "d_model": 16, "d_ff": 24}
# keras-hub 0.32, keras_hub/src/models/t5/t5_presets.py and the config.json of its presets: num_layers, num_heads,
# hidden_dim, intermediate_dim, key_value_dim; the parameters are counted by hand
PRESETS = {
    "t5-small": (6, 8, 512, 2048, 64, 60_506_624),
    "t5-base": (12, 12, 768, 3072, 64, 222_903_552),
    "t5-large": (24, 16, 1024, 4096, 64, 737_668_096),
    "flan-small": (8, 6, 512, 1024, 64, 76_961_152),
    "flan-base": (12, 12, 768, 2048, 64, 247_577_856),
    "flan-large": (24, 16, 1024, 2816, 64, 783_150_080),
    "1.1-small": (8, 6, 512, 1024, 64, 76_961_152),
    "1.1-base": (12, 12, 768, 2048, 64, 247_577_856),
    "1.1-large": (24, 16, 1024, 2816, 64, 783_150_080),
    "1.1-xl": (24, 32, 2048, 5120, 64, 2_849_757_184),
    "1.1-xxl": (24, 64, 4096, 10240, 64, 11_135_332_352),
}
ARGUMENTS = {
    "num_layers": None, "num_heads": None, "hidden_dim": None, "intermediate_dim": None, "key_value_dim": None,
    "dropout": 0.1, "activation": "relu", "use_gated_activation": True, "layer_norm_epsilon": 1e-6,
    "tie_embedding_weights": True,
}  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_the_recipes_have_the_shapes_of_the_presets(name):
    shape = load(f"t5-backbone-{name}").model
    assert isinstance(shape, T5Backbone)
    *sizes, parameters = PRESETS[name]
    found = [shape.num_layers, shape.num_heads, shape.hidden_dim, shape.intermediate_dim, shape.key_value_dim]
    assert found == sizes
    old = name.startswith("t5-")
    assert (shape.activation, shape.use_gated_activation) == (("relu", False) if old else ("gelu", True))
    assert (shape.tie_embedding_weights, shape.vocab_size) == (old, 32128)
    assert shape.num_parameters() == parameters


def test_arguments_and_defaults_are_those_of_the_constructor():
    fields = {field.name: field for field in msgspec.structs.fields(T5Backbone)}
    assert fields.keys() == {"vocab_size", *ARGUMENTS}
    defaults = {n: None if f.required else f.default for n, f in fields.items() if n != "vocab_size"}
    assert defaults == ARGUMENTS


def test_keras_hub_itself_has_these_arguments():
    keras_hub = pytest.importorskip("keras_hub")
    taken = inspect.signature(keras_hub.models.T5Backbone.__init__).parameters
    left = {"self", "vocabulary_size", "dtype", "kwargs"}
    defaults = {n: None if p.default is p.empty else p.default for n, p in taken.items() if n not in left}
    assert defaults == ARGUMENTS


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_the_model_is_that_of_t5(activation, gated, tied):
    backbone = T5Backbone(
        **SMALL,
        activation=activation,
        use_gated_activation=gated,
        tie_embedding_weights=tied,
        layer_norm_epsilon=1e-5,
    )
    forward = f"gated-{activation}" if gated else activation
    t5 = T5(**SAME, d_kv=8, feed_forward=forward, tie_embeddings=tied, dropout=0.1, layer_norm_epsilon=1e-5)
    ours, theirs = backbone.build(seed=3), t5.build(seed=3)
    assert ours.config.to_dict() == theirs.config.to_dict()
    assert ours.config.layer_norm_epsilon == ours.encoder.final_layer_norm.variance_epsilon == 1e-5
    weights = theirs.state_dict()
    assert ours.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in ours.state_dict().items())
    assert backbone.config_extras == t5.config_extras == ({} if tied else {"tie_word_embeddings": False})
    ids = torch.randint(3, ROWS, (2, 12), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "labels": ids[:, :5].clone()}
    losses = [s.loss(m.eval(), s.prepare(batch, 0)) for s, m in ((backbone, ours), (t5, theirs))]
    assert losses[0] == losses[1]
    assert T5Backbone.settings_of(ours.config) == {
        **SMALL, "key_value_dim": 8, "layer_norm_epsilon": 1e-5, "activation": activation,
        "use_gated_activation": gated, "tie_embedding_weights": tied,
    }  # fmt: skip


def test_a_trained_one_is_the_folder_of_a_t5(tmp_path):
    """The same bytes, and each starts from the other's weights."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    make_shards(tmp_path / "shards", tokenizer=tokenizer)
    settings = TrainSettings(steps=2, batch_size=4, num_threads=1, validate_every=0, keep_checkpoint=False)
    both = T5Backbone(**SMALL), T5(**SAME, d_kv=8, feed_forward="gated-relu", dropout=0.1)
    for family in both:
        train(tmp_path / "shards", tokenizer, tmp_path / family.family, family, settings)
    ours, theirs = tmp_path / "t5-backbone", tmp_path / "t5"
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    assert family_of(ours) is T5
    assert json.loads((ours / "config.json").read_bytes())["feed_forward_proj"] == "gated-relu"
    warm = msgspec.structs.replace(settings, init=str(theirs))
    lines = []
    train(tmp_path / "shards", tokenizer, tmp_path / "warm", both[0], warm, report=lines.append)
    assert f"starts from the weights of {theirs}" in lines
    built = both[1].build(seed=0)
    load_weights(built, both[1], str(ours))
    other = msgspec.structs.replace(both[0], num_layers=1)
    with pytest.raises(BadArgument, match=r"model\.num_layers is 1, but .* has 2: set model\.num_layers to 2"):
        train(tmp_path / "shards", tokenizer, tmp_path / "other", other, warm)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_decoder_layers": 1},
            "num_decoder_layers 1, but with model.family t5-backbone it is 2: set model.family",
        ),
        ({"relative_attention_max_distance": 64}, "relative_attention_max_distance 64, .* it is 128"),
        ({"relative_attention_num_buckets": 16}, "relative_attention_num_buckets 16, .* it is 32"),
    ],
)
def test_weights_that_no_arguments_describe_are_refused(changes, message):
    with pytest.raises(BadArgument, match=message):
        T5Backbone.settings_of(T5Config(num_layers=2, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 3}, r"hidden_dim is 16; without key_value_dim it must be a multiple of num_heads \(3\)"),
        ({"key_value_dim": 0}, "key_value_dim is 0; it must be at least 1"),
        ({"num_layers": 0}, "num_layers is 0; it must be at least 1"),
        ({"hidden_dim": 0}, "hidden_dim is 0; it must be at least 1"),
        ({"dropout": 1.0}, r"dropout is 1\.0; it must be at least 0 and below 1"),
        ({"layer_norm_epsilon": 0.0}, r"layer_norm_epsilon is 0\.0; it must be above 0"),
        ({"activation": "silu"}, "activation"),
        ({"d_model": 16}, r"model\.d_model is for family t5, not t5-backbone: remove it"),
        ({"num_decoder_layers": 2}, r"model\.num_decoder_layers is for family t5, not t5-backbone: remove it"),
    ],
)
def test_impossible_shapes_are_refused_in_its_own_words(changes, message):
    with pytest.raises((BadArgument, msgspec.ValidationError), match=message):
        FAMILIES.convert({"family": "t5-backbone", **SMALL, **changes})
    assert T5Backbone(**{**SMALL, "num_heads": 3, "key_value_dim": 4}).t5.d_kv == 4


def test_other_rows_are_refused_naming_the_family(tmp_path):
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    make_shards(tmp_path / "causal", tokenizer=tokenizer, objective="causal", widths=(17, 0))
    settings = TrainSettings(steps=2, batch_size=4, num_threads=1, validate_every=0, keep_checkpoint=False)
    with pytest.raises(BadArgument, match=r"holds causal rows, but model\.family is 't5-backbone'"):
        train(tmp_path / "causal", tokenizer, tmp_path / "out", T5Backbone(**SMALL), settings)


def test_a_younger_setting_is_left_out_of_the_identity_of_a_t5():
    assert "layer_norm_epsilon" not in T5(**SAME).identity()
    assert T5(**SAME, layer_norm_epsilon=1e-5).identity()["layer_norm_epsilon"] == 1e-5
