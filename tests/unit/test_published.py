"""What recipes say of published systems: exact counts beside those of cards, tokens, FLOPs; and demos."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.errors import BadArgument
from tamiz.recipes.bundled import base_of, has_demo, names, variants
from tamiz.recipes.figures import figures
from tamiz.recipes.load import load
from tamiz.recipes.write import as_toml
from tamiz.stages import ordered
from tamiz.trainer.cost import WITH_ATTENTION
from tests.command import tamiz
from tests.conftest import ROOT

T5 = "t5-spanish-efficient-tiny"

# derived by hand from the published shapes; none is taken from tamiz
PARAMETERS = {
    "t5-spanish-efficient-tiny": 7_176_896,
    "t5-backbone-t5-small": 60_506_624,
    "t5-backbone-t5-base": 222_903_552,
    "t5-backbone-t5-large": 737_668_096,
    "t5-backbone-flan-small": 76_961_152,
    "t5-backbone-flan-base": 247_577_856,
    "t5-backbone-flan-large": 783_150_080,
    "t5-backbone-1.1-small": 76_961_152,
    "t5-backbone-1.1-base": 247_577_856,
    "t5-backbone-1.1-large": 783_150_080,
    "t5-backbone-1.1-xl": 2_849_757_184,
    "t5-backbone-1.1-xxl": 11_135_332_352,
    "kebyt5-mini": 123_499_904,
    "kebyt5-small": 299_637_760,
    "kebyt5-base": 581_653_248,
    "kebyt5-large": 1_228_183_552,
    "bertin-gpt-j-6b": 6_050_882_784,
    "teenytinyllama-160m": 162_417_408,
    "teenytinyllama-460m": 468_239_360,
}
WRONG = {  # cards whose count isn't that of their model
    "t5-spanish-efficient-tiny", "t5-backbone-1.1-small", "t5-backbone-1.1-large", "kebyt5-small", "bertin-gpt-j-6b",
}  # fmt: skip


def shown(recipe):
    return "\n".join(as_toml(recipe)) + "\n"


def test_every_system_is_there():
    assert set(names()) == set(PARAMETERS)
    assert all(has_demo(name) for name in names())


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_recipe_is_shown_with_its_exact_size_and_loads_again(name, tmp_path):
    pytest.importorskip("transformers")
    recipe = load(name)
    text = shown(recipe)
    assert f"# {PARAMETERS[name]:,} parameters" in text
    (line,) = [line for line in text.splitlines() if line.startswith("# parameters: ")]
    claim = recipe.published.get("parameters")
    if claim and isinstance(claim.value, int):
        assert bool(claim.wrong) == (claim.value != PARAMETERS[name])
        assert f"published: {claim.value:,} ({claim.source})" in text
    assert bool(claim and claim.wrong) == (name in WRONG) == ("; WRONG: " in line)
    assert "no source is given" not in text
    (tmp_path / "own.toml").write_text(text)
    own = load(str(tmp_path / "own.toml"))
    assert (own.documents, own.sections, own.name) == (recipe.documents, recipe.sections, name)


@pytest.mark.parametrize(
    ("name", "six_n", "with_attention"),  # in MFLOP a token: reference figures of the two Llamas and of GPT-J
    [
        ("teenytinyllama-160m", 974.5, 1201.0),
        ("teenytinyllama-460m", 2809.4, 3413.4),
        ("bertin-gpt-j-6b", 36305, 39124),
    ],
)
def test_flops_are_those_of_the_named_formulas(name, six_n, with_attention):
    pytest.importorskip("transformers")
    found = figures(load(name))
    assert found is not None
    million = [row / found.tokens_per_row / 1e6 for row in found.flops.values()]
    assert million == pytest.approx([six_n, with_attention], rel=1e-4)
    assert found.tokens_per_step == {"bertin-gpt-j-6b": 65_536}.get(name, 8192)


def test_flops_of_an_encoder_decoder_follow_what_each_stack_reads():
    """By hand, for the tiny T5: stacks of 2,624,448 and 2,952,448, 512 inputs, 114 targets, inner width 256."""
    pytest.importorskip("transformers")
    found = figures(load(T5))
    assert found is not None
    assert (found.inputs, found.targets, found.parameters, found.embedding) == (512, 114, 7_176_896, 1_600_000)
    dense = 6 * (2_624_448 * 512 + (2_952_448 + 1_600_000) * 114)
    attention = 12 * 256 * (4 * 512 * 512 + 3 * 114 * 114 + 3 * 114 * 512)
    assert list(found.flops.values()) == [dense, dense + attention]
    plain = found.asdict()
    assert (plain["tokens_per_step"], plain["tokens"]) == (128 * 626, 65_536 * 128 * 626)
    assert plain["flops"][WITH_ATTENTION] == (dense + attention) * 128 * 65_536


def test_show_prints_json(capsys):
    code, text, _ = tamiz(capsys, "recipes", "show", T5, "--json")
    content = json.loads(text)
    assert code == 0
    assert content["published"]["parameters"]["value"] == 17_940_000
    assert content["figures"]["parameters"] == 7_176_896


def test_recipes_are_listed_below_those_that_they_are_based_on(capsys):
    code, text, _ = tamiz(capsys, "recipes")
    order = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert (code, sorted(order)) == (0, names())
    assert all(order.index(name) > order.index(base) for name in order if (base := base_of(name)))


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_demo_is_the_same_system_reduced(name):
    full, demo = load(name), load(name, demo=True)
    assert demo.name == f"{name}.demo"
    assert demo.title == f"{full.title}, reduced for a demo"
    stages = [s.name for s in ordered() if s.runs_in(full) and s.name != "export"]  # which needs more than [train]
    assert [s.name for s in ordered() if s.runs_in(demo)] == stages
    for section, keys in {
        "sample": ("method", "per", "width", "factor"),
        "shards": ("objective", "packing", "bos", "eos", "mean_noise_span_length"),
        "tokenizer": ("kind", "extra_ids"),
        "model": (
            *("family", "feed_forward", "tie_embeddings", "document_masks"),
            *("activation", "use_gated_activation", "tie_embedding_weights"),
        ),
        "train": ("optimizer", "weight_decay", "clip_norm", "betas"),
    }.items():
        for key in keys:
            ours, theirs = (getattr(getattr(r, section), key, None) for r in (demo, full))
            assert ours == theirs or name == T5, f"{section}.{key}"
    assert (demo.mixture is None) == (full.mixture is None)
    if full.mixture:
        assert (demo.mixture.method, demo.mixture.unit) == (full.mixture.method, full.mixture.unit)
    assert (demo.tokenizer.file is None) == (full.tokenizer.file is None)
    assert all(Path(path).is_file() for source in demo.inputs for path in source.patterns)


def test_a_recipe_without_a_demo_says_which_have_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'base = "{T5}"\nname = "mine"')
    with pytest.raises(BadArgument, match="has no demo; these have one: bertin-gpt-j-6b, "):
        load(str(path), demo=True)


def test_claims_hold_only_for_what_a_recipe_leaves_as_it_is(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'base = "{T5}"\n[tokenizer]\nlowercase = false\n[model]\nd_model = 64')
    assert load(T5).published.keys() == {"parameters", "documents", "tokenizer.lowercase"}
    assert load(str(path)).published.keys() == {"documents"}


VARIANTS = {
    T5: ("mmarco-es", {"parameters", "documents", "tokenizer.lowercase"}),
    "bertin-gpt-j-6b": ("mc4-es-sampled", {"parameters", "tokens_per_step", "tokens"}),
    "teenytinyllama-160m": ("pt-corpus-instruct", {"parameters", "tokens_per_step", "tokens", "documents"}),
    "teenytinyllama-460m": ("pt-corpus-instruct", {"parameters", "tokens_per_step", "tokens", "documents"}),
}


@pytest.mark.parametrize("name", names())
def test_a_variant_is_the_same_system_on_another_published_corpus(name):
    corpora = [variant for variant in variants(name) if variant != "demo"]
    assert corpora == [corpus for corpus, _ in [VARIANTS.get(name, ("", ()))] if corpus]
    for corpus in corpora:
        full, variant = load(name), load(name, overrides=[f"documents.source={corpus}"])
        assert (variant.name, variant.title, variant.reference) == (name, full.title, full.reference)
        assert [source.source for source in variant.documents] == [corpus]
        for section in ("tokenizer", "shards", "model", "train", "export"):
            assert variant.sections[section] == full.sections[section]
        assert VARIANTS[name][1] <= variant.published.keys()
        claimed = variant.published["documents"] if "documents" in VARIANTS[name][1] else None
        assert claimed is None or not claimed.differs


@pytest.mark.parametrize(
    ("name", "overrides", "comment"),
    [
        ("kebyt5-small", [], "# an existing tokenizer of 384 ids, sha256 ecf743fb5cfe"),
        ("bertin-gpt-j-6b", [], "# an existing tokenizer of the Hugging Face Hub; the run downloads it"),
        (
            "bertin-gpt-j-6b",
            ["tokenizer.file=no/such/here.json"],
            "# an existing tokenizer, which can't be read here: ",
        ),
    ],
)
def test_a_brought_tokenizer_is_shown_without_settings_that_train_one(name, overrides, comment, monkeypatch):
    monkeypatch.setattr("tamiz.recipes.write.figures", lambda _recipe: None)
    text = shown(load(name, overrides=overrides))
    section = text.partition("[tokenizer]\n")[2].partition("\n\n")[0].splitlines()
    assert [line.partition(" = ")[0] for line in section[:-1]] == ["file"]
    assert section[-1].startswith(comment)


def test_only_settings_that_have_an_effect_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("tamiz.recipes.write.figures", lambda _recipe: None)
    path = tmp_path / "mine.toml"
    path.write_text(f'base = "{T5}"\n[lm]\ninput = "a.txt"')
    assert "source_share" not in shown(load(str(path)))
    assert "source_share = 0.02" in shown(load(T5))
    path.write_text(f'base = "{T5}"\n[lm]\nfile = "lm.bin"\nsource_share = 0.5')  # set, although it has none
    assert "source_share = 0.5" in shown(load(str(path)))


def test_what_is_above_the_model_is_shown_before_torch_is_loaded():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"""
import sys
from tamiz.recipes.load import load
from tamiz.recipes.write import as_toml
for line in as_toml(load({T5!r})):
    if line == "[model]":
        break
assert not {{"torch", "transformers", "apache_beam"}} & sys.modules.keys()
""",
        ],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ('"trian.steps" = {value = 5, source = "card"}', r"published\.trian\.steps: no such section or figure; the"),
        (
            'parameters = {value = 5, source = ""}',
            r"published\.parameters\.source is empty: say where that is stated",
        ),
        ("parameters = {value = 5}", r"published\.parameters\.source is missing: it must be a text"),
        ("parameters = {value = [5], source = 'a'}", r"published\.parameters\.value is \[5\]; it must be "),
        (
            "parameters = {value = 5, source = 'a', sauce = 'b'}",
            r"published\.parameters\.sauce: no such key, did you",
        ),
        ("parameters = 5", r"published\.parameters is 5; it must be a table with value and source"),
    ],
)
def test_wrong_claims_are_refused(claim, message, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'base = "{T5}"\n[published]\n{claim}')
    with pytest.raises(BadArgument, match=message):
        load(str(path))
