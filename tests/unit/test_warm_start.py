"""Trainings that start from another model's weights: what is copied, and what is refused by name."""

from __future__ import annotations

import json

import msgspec
import pytest
import torch

from corpora.errors import BadArgument, DamagedFile, StaleOutput, Unreachable
from tamiz.trainer import warm_start
from tamiz.trainer.families.gptj import GptJ
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.inputs import check_inputs
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.train import train
from tests.command import tamiz
from tests.make_shards import NUM_SENTINELS, VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread", "quick_plots")

ROWS = VOCAB_SIZE + 8  # rows that no id has, as GPT-J's
T5_11 = T5(
    vocab_size=ROWS, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=2, num_decoder_layers=1,
    feed_forward="gated-gelu", tie_embeddings=False,
)  # fmt: skip
T5_10 = T5(vocab_size=ROWS, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=2)
LLAMA = Llama(
    vocab_size=ROWS, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2, num_kv_heads=1,
    max_position_embeddings=32,
)  # fmt: skip
GPTJ = GptJ(
    vocab_size=ROWS, hidden_size=16, num_layers=1, num_heads=2, rotary_dim=4, max_position_embeddings=32
)  # fmt: skip
EACH = pytest.mark.parametrize("family", [T5_11, T5_10, LLAMA, GPTJ], ids=["t5-1.1", "t5", "llama", "gptj"])
SETTINGS = TrainSettings(steps=2, batch_size=4, num_threads=1, validate_every=0, keep_checkpoint=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A tokenizer, shards of both kinds, and a random model of each family."""
    folder = tmp_path_factory.mktemp("warm")
    tokenizer = make_tokenizer(folder / "tokenizer")
    make_shards(folder / "spans", tokenizer=tokenizer)
    make_shards(folder / "causal", tokenizer=tokenizer, objective="causal", widths=(17, 0))
    for family in (T5_11, T5_10, LLAMA, GPTJ):
        save(family, folder / name_of(family), tokenizer)
    return folder


def name_of(family):
    return f"{family.family}-{getattr(family, 'feed_forward', 'x')}"


def save(family, out, tokenizer, seed=9, **how):
    model = family.build(seed=seed)
    model.save_pretrained(out, **how)
    if family.config_extras:
        path = out / "config.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | family.config_extras))
    for path in tokenizer.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    return model


def shards_of(family, home):
    return home / ("spans" if family.family == "t5" else "causal")


def check(family, home, init, shards=None):
    return check_inputs(shards or shards_of(family, home), home / "tokenizer", family, init=str(init))


@EACH
@pytest.mark.parametrize("form", ["safetensors", "several files", "pickle", "bfloat16"])
def test_every_weight_is_copied_in_float32(home, tmp_path, family, form):
    how = {"max_shard_size": "4KB"} if form == "several files" else {}
    given = save(family, tmp_path / "m", home / "tokenizer", **how)
    if form == "pickle":
        (tmp_path / "m/model.safetensors").unlink()
        others = {"transformer.h.0.attn.bias": torch.ones(1)} if family.family == "gptj" else {}
        torch.save(given.state_dict() | others, tmp_path / "m/pytorch_model.bin")
    elif form == "bfloat16":
        given = given.to(torch.bfloat16)
        given.save_pretrained(tmp_path / "m")
    check(family, home, tmp_path / "m")
    built = family.build(seed=0)
    warm_start.load(built, family, str(tmp_path / "m"))
    for (name, a), b in zip(built.named_parameters(), given.parameters(), strict=True):
        assert a.dtype == torch.float32, name
        assert torch.equal(a, b.float()), name


@EACH
def test_a_training_starts_from_them_and_knows_it(home, tmp_path, family):
    init = home / name_of(family)
    settings = msgspec.structs.replace(SETTINGS, init=str(init))
    shards, lines = shards_of(family, home), []
    warm = train(shards, home / "tokenizer", tmp_path / "a", family, settings, report=lines.append)
    assert f"starts from the weights of {init}" in lines
    cold = train(shards, home / "tokenizer", tmp_path / "b", family, SETTINGS, report=lambda _: None)
    assert warm["initial_validation_loss"] != cold["initial_validation_loss"]
    built = family.build(seed=0)
    warm_start.load(built, family, str(init))
    given = family.build(seed=9)
    assert all(torch.equal(a, b) for a, b in zip(built.parameters(), given.parameters(), strict=True))


def test_other_weights_are_another_training(home, tmp_path):
    """Not the name of the model counts, but its content."""
    settings = TrainSettings(steps=2, batch_size=4, num_threads=1, init=str(home / name_of(LLAMA)))
    train(home / "causal", home / "tokenizer", tmp_path / "out", LLAMA, settings, report=lambda _: None)
    save(LLAMA, tmp_path / "same", home / "tokenizer")
    again = msgspec.structs.replace(settings, steps=3, init=str(tmp_path / "same"))
    train(home / "causal", home / "tokenizer", tmp_path / "out", LLAMA, again, report=lambda _: None)
    save(LLAMA, tmp_path / "other", home / "tokenizer", seed=1)
    other = msgspec.structs.replace(settings, steps=4, init=str(tmp_path / "other"))
    with pytest.raises(StaleOutput, match="init"):
        train(home / "causal", home / "tokenizer", tmp_path / "out", LLAMA, other, report=lambda _: None)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (LLAMA, {"num_layers": 2}, r"model\.num_layers is 2, but .* has 1: set model\.num_layers to 1"),
        (LLAMA, {"num_heads": 4}, r"model\.num_heads is 4, but .* has 2"),
        (LLAMA, {"rope_theta": 5e5}, r"model\.rope_theta is 500000\.0, but .* has 10000\.0"),
        (LLAMA, {"vocab_size": 64}, r"model\.vocab_size is 64, but .* has 72: set model\.vocab_size to 72"),
        (GPTJ, {"rotary_dim": 8}, r"model\.rotary_dim is 8, but .* has 4"),
        (GPTJ, {"intermediate_size": 32}, r"model\.intermediate_size is 32, but .* has 64"),
        (T5_11, {"tie_embeddings": True}, r"model\.tie_embeddings is True, but .* has False"),
        (T5_11, {"feed_forward": "relu"}, r"model\.feed_forward is relu, but .* has gated-gelu"),
        (T5_10, {"num_decoder_layers": 1}, r"model\.num_decoder_layers is 1, but .* has 2"),
    ],
)
def test_another_shape_is_refused_by_name(home, family, changes, message):
    with pytest.raises(BadArgument, match=message):
        check(msgspec.structs.replace(family, **changes), home, home / name_of(family))


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (LLAMA, {"hidden_act": "gelu"}, r"has hidden_act 'gelu', but a Llama is trained here with 'silu'"),
        (LLAMA, {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, r"has rope_parameters \{.*'linear'"),
        (LLAMA, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
         r"has rope_parameters \{.*'partial_rotary_factor': 0\.5"),
        (LLAMA, {"rope_theta": 5e5, "rope_parameters": None}, r"model\.rope_theta is 10000\.0, but .* has 500000"),
        (LLAMA, {"attention_bias": True}, r"has attention_bias True, but a Llama is trained here with False"),
        (LLAMA, {"head_dim": 4}, r"has head_dim 4, but a Llama is trained here with 8"),
        (LLAMA, {"rms_norm_eps": 0.1}, r"model\.rms_norm_eps is .*, but .* has 0\.1"),
        (LLAMA, {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, r"is quantised"),
        (GPTJ, {"activation_function": "relu"}, r"has activation_function 'relu', but a GPT-J .* 'gelu_new'"),
        (GPTJ, {"tie_word_embeddings": True}, r"has tie_word_embeddings True"),
        (T5_11, {"decoder_start_token_id": 5}, r"has decoder_start_token_id 5, but a T5 is trained here with 0"),
        (T5_11, {"layer_norm_epsilon": 0.1}, r"model\.layer_norm_epsilon is 1e-06, but .* has 0\.1"),
        (T5_11, {"feed_forward_proj": "gated-silu"}, r"model\.feed_forward is gated-gelu, but .* has gated-silu"),
    ],
)  # fmt: skip
def test_another_function_of_the_same_weights_is_refused_by_its_key(home, tmp_path, family, changes, message):
    save(family, tmp_path, home / "tokenizer")
    rewrite_config(tmp_path, **changes)
    with pytest.raises(BadArgument, match=message) as error:
        check(family, home, tmp_path)
    assert len(str(error.value).splitlines()) == 1


@EACH
def test_what_changes_no_function_is_taken(home, tmp_path, family):
    """Dropout, initial weights, names of the same function, and keys that transformers doesn't know."""
    save(family, tmp_path, home / "tokenizer")
    changes = {
        "t5": {"dropout_rate": 0.3, "n_positions": 9, "initializer_factor": 2.0},
        "llama": {"attention_dropout": 0.1, "pretraining_tp": 2, "hidden_act": "swish", "use_cache": False},
        "gptj": {"attn_pdrop": 0.5, "n_inner": None, "activation_function": "gelu_pytorch_tanh", "rotary": True},
    }[family.family]
    rewrite_config(tmp_path, torch_dtype="float16", **changes)
    check(family, home, tmp_path)


def rewrite_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


def test_another_family_is_refused(home):
    with pytest.raises(BadArgument, match=r"a model of type 'gptj', but model\.family llama needs 'llama'"):
        check(LLAMA, home, home / name_of(GPTJ))


def test_ids_that_mean_something_else_are_refused(home, tmp_path):
    other = make_tokenizer(tmp_path / "other", salt="x")
    save(LLAMA, tmp_path / "m", other)
    with pytest.raises(BadArgument, match=r"id 3 is 'palabrax0' in the tokenizer of .*, but 'palabra0'"):
        check(LLAMA, home, tmp_path / "m")
    path = tmp_path / "m/config.json"
    path.write_text(path.read_text().replace('"eos_token_id": 1', '"eos_token_id": 5'))
    with pytest.raises(BadArgument, match=r"end documents with id 1, but .* with 5"):
        check(LLAMA, home, tmp_path / "m")
    save(LLAMA, tmp_path / "n", home / "tokenizer")
    rewrite_config(tmp_path / "n", eos_token_id=[5, 1])  # several ends, as a chat's model
    check(LLAMA, home, tmp_path / "n")
    for file in (tmp_path / "n").glob("*token*.json"):  # a sentinel of one alone: no causal row has it
        file.write_text(file.read_text().replace(f"<extra_id_{NUM_SENTINELS - 1}>", "<unused>"))
    check(LLAMA, home, tmp_path / "n")


def test_a_tokenizer_of_another_kind_is_compared_by_what_it_makes_of_texts(home, tmp_path):
    LLAMA.build(seed=0).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    said = r"'The five .*' is \[.*\.\.\. to the tokenizer of .*, but \[.*\.\.\. to that of the shards"
    with pytest.raises(BadArgument, match=said):
        check(LLAMA, home, tmp_path)


class Evil:
    """As a pickle, it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_runs_no_code_and_is_read_only_without_safetensors(home, tmp_path):
    given = save(LLAMA, tmp_path / "m", home / "tokenizer")
    pickled, made = tmp_path / "m/pytorch_model.bin", tmp_path / "made"
    torch.save({"lm_head.weight": Evil(str(made))}, pickled)
    check(LLAMA, home, tmp_path / "m")
    (tmp_path / "m/model.safetensors").unlink()
    for content in (pickled.read_bytes(), b"no pickle"):
        pickled.write_bytes(content)
        with pytest.raises(DamagedFile, match=r"pytorch_model\.bin is damaged") as error:
            check(LLAMA, home, tmp_path / "m")
        assert len(str(error.value).splitlines()) == 1
    assert not made.exists()
    torch.save(given.state_dict(), pickled, _use_new_zipfile_serialization=False)  # as before torch 1.6
    check(LLAMA, home, tmp_path / "m")


def test_a_model_without_a_tokenizer_is_warned_of(home, tmp_path, caplog):
    LLAMA.build(seed=0).save_pretrained(tmp_path)
    check(LLAMA, home, tmp_path)
    assert "has no tokenizer: nobody knows whether its ids mean the same" in caplog.text


DAMAGE = ("cut", "garbage", "no weights", "no config", "bad config", "pickle", "index", "numbers", "empty", "nan")


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_one_line(home, tmp_path, what):
    model, settings = save(LLAMA, tmp_path, home / "tokenizer"), msgspec.structs.replace(SETTINGS, init=str(tmp_path))
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    if what == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif what == "garbage":
        weights.write_bytes(b"x" * 1000)
    elif what in ("no weights", "pickle", "index", "numbers", "empty"):
        weights.unlink()
    if what == "pickle":
        torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
        (tmp_path / "pytorch_model.bin").write_bytes((tmp_path / "pytorch_model.bin").read_bytes()[:900])
    elif what in ("index", "numbers", "empty"):
        places = {"index": {"a": "gone.safetensors"}, "numbers": {"a": 1}, "empty": {}}[what]
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    elif what == "no config":
        config.unlink()
    elif what == "bad config":
        config.write_text("{")
    elif what == "nan":
        with torch.no_grad():
            model.lm_head.weight[0, 0] = float("nan")
        model.save_pretrained(tmp_path)
    with pytest.raises((DamagedFile, BadArgument)) as error:
        train(home / "causal", home / "tokenizer", tmp_path / "out", LLAMA, settings, report=lambda _: None)
    assert len(str(error.value).splitlines()) == 1
    assert str(tmp_path) in str(error.value)


def test_tensors_that_are_missing_or_left_over_are_named(home, tmp_path):
    from safetensors.torch import load_file, save_file

    save(LLAMA, tmp_path, home / "tokenizer")
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "model.layers.0.extra.weight": torch.ones(2)}, path)
    with pytest.raises(BadArgument, match=r"has 1 tensors that this Llama lacks, such as model\.layers\.0\.extra"):
        check(LLAMA, home, tmp_path)
    save_file({k: v for k, v in tensors.items() if k != "lm_head.weight"}, path)
    with pytest.raises(BadArgument, match=r"has no tensor lm_head\.weight, which this Llama needs"):
        check(LLAMA, home, tmp_path)


def test_quantised_tensors_are_refused(home, tmp_path):
    """Their shapes may be those of weights, but their values are not."""
    from safetensors.torch import load_file, save_file

    save(LLAMA, tmp_path, home / "tokenizer")
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    for dtype, name in ((torch.int8, "I8"), (torch.float8_e4m3fn, "F8_E4M3")):
        save_file({**tensors, "lm_head.weight": tensors["lm_head.weight"].to(dtype)}, path)
        with pytest.raises(BadArgument, match=rf"has lm_head\.weight as {name}, but weights must be one of F64, F32"):
            check(LLAMA, home, tmp_path)


def test_a_file_that_lacks_what_its_index_names(home, tmp_path):
    from safetensors.torch import load_file, save_file

    save(LLAMA, tmp_path, home / "tokenizer", max_shard_size="4KB")
    path = sorted(tmp_path.glob("model-*.safetensors"))[0]
    tensors = load_file(path)
    save_file(dict(list(tensors.items())[1:]), path)
    with pytest.raises(
        DamagedFile, match=rf"{path.name} has no {next(iter(tensors))}, but model\.safetensors\.index"
    ):
        check(LLAMA, home, tmp_path)


def test_a_number_beyond_float32_is_damage(home, tmp_path):
    from safetensors.torch import load_file, save_file

    save(LLAMA, tmp_path, home / "tokenizer")
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "lm_head.weight": tensors["lm_head.weight"].double() * 1e300}, path)
    with pytest.raises(DamagedFile, match=r"lm_head\.weight isn't finite everywhere"):
        warm_start.load(LLAMA.build(seed=0), LLAMA, str(tmp_path))


def test_names_that_are_no_model_are_refused(home, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadArgument, match="neither the folder of a model nor a name of the Hub"):
        check(LLAMA, home, tmp_path / "none")
    with pytest.raises(
        Unreachable, match=r"no folder here, and can't find the model .* HF_HUB_OFFLINE is set"
    ) as error:
        check(LLAMA, home, "nobody-at-all/no-such-model")
    assert len(str(error.value).splitlines()) == 1


def test_the_command_takes_it(capsys, home, tmp_path):
    (tmp_path / "m.toml").write_text(
        f'[model]\nfamily = "gptj"\nvocab_size = {ROWS}\nhidden_size = 16\nnum_layers = 1\nnum_heads = 2\n'
        "rotary_dim = 4\nmax_position_embeddings = 32\n[train]\nsteps = 1\nbatch_size = 4\nnum_threads = 1\n"
    )
    told = ("train", "--shards", home / "causal", "--model", tmp_path / "m.toml", "--out", tmp_path / "out")
    code, _, error = tamiz(capsys, *told, "--init", home / name_of(LLAMA))
    assert (code, "needs 'gptj'" in error, (tmp_path / "out").exists()) == (2, True, False)
    code, out, error = tamiz(capsys, *told, "--init", home / name_of(GPTJ))
    assert code == 0, error
    assert "starts from the weights of" in out
    assert "nothing to do" in tamiz(capsys, *told, "--init", home / name_of(GPTJ))[1]
    code, _, error = tamiz(capsys, *told)
    assert (code, "init" in error) == (1, True)
    code, _, error = tamiz(capsys, "verify", tmp_path / "out")
    assert code == 0, error
    card = (tmp_path / "out/README.md").read_text()
    assert "parameters, trained on from the weights of gptj-x: it continues texts" in card
    assert str(home) not in card
