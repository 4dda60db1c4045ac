"""[mixture] in recipes: shards by source, a training that mixes them, and what is refused before any work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from corpora import manifest
from corpora.errors import DamagedFile
from corpora.manifest import FileRecord, MadeFrom, Manifest
from corpora.rows.shards import read_shards
from tamiz.stages.mixtures import parts_by_name
from tests.command import exit_code, tamiz

SPANISH = (
    "La niña fue al mercado con su madre y compró tres manzanas rojas.",
    "El río baja crecido después de las lluvias de abril.",
    "Mi abuelo arreglaba relojes en un taller pequeño, cerca de la plaza.",
    "Cada mañana el panadero abre la tienda antes del amanecer.",
)
PORTUGUESE = (
    "A menina foi ao mercado com a mãe e comprou três maçãs vermelhas.",
    "O rio desce cheio depois das chuvas de abril, e o moinho não para.",
    "Meu avô consertava relógios numa oficina pequena, perto da praça.",
)
RECIPE = """
[[documents]]
name = "es"
language = "es"
input = "{home}/es.jsonl"
[[documents]]
name = "pt"
language = "pt"
input = "{home}/pt.jsonl"
[lm]
input = ["{home}/es.jsonl", "{home}/pt.jsonl"]
train_tokenizer = 60
order = 2
[score]
[sample]
method = "random"
keep = 0.9
[tokenizer]
kind = "bytes"
vocab_size = 275
extra_ids = 16
[mixture]
unit = "bytes"
[mixture.weights]
es = 7
pt = 3
[shards]
objective = "span-corruption"
sequence_length = 64
validation_fraction = 0.1
[model]
family = "t5"
num_layers = 1
num_decoder_layers = 1
d_model = 16
d_ff = 32
d_kv = 8
num_heads = 2
[train]
steps = 12
batch_size = 8
num_threads = 1
"""


def write(home: Path) -> Path:
    for name, texts, count in (("es", SPANISH, 60), ("pt", PORTUGUESE, 40)):
        lines = [f"{texts[n % len(texts)]} {n}. {texts[(n * 5 + n // 3) % len(texts)]}" for n in range(count)]
        (home / f"{name}.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    recipe = home / "mixed.toml"
    recipe.write_text(RECIPE.format(home=home))
    return recipe


def without_a_sample(home: Path) -> Path:
    recipe = write(home)
    text = recipe.read_text()
    for section in ("lm", "score", "sample"):
        start = text.index(f"[{section}]")
        text = text[:start] + text[text.index("\n[", start + 1) + 1 :]
    recipe.write_text(text)
    return recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the recipe. Tests that change it copy it."""
    home = tmp_path_factory.mktemp("mixed")
    recipe = write(home)
    assert exit_code("run", recipe, "--out", home / "out") == 0
    return home


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_bytes())


def test_a_run_builds_shards_by_source_and_mixes_them(run):
    shards = {name: read_shards(run / "out/shards" / name) for name in ("es", "pt")}
    kept = manifest.read(run / "out/sampled")
    assert [item["name"] for item in kept.items] == ["es__es.jsonl", "pt__pt.jsonl"]
    documents = {n: sum(a.documents for a in s.facts.account.values()) for n, s in shards.items()}
    assert documents == dict(zip(("es", "pt"), (item["kept"] for item in kept.items), strict=True))
    assert not (run / "out/shards/manifest.json").exists()
    mixture = metrics(run / "out/model")["mixture"]
    assert (mixture["method"], mixture["unit"]) == ("weights", "bytes")
    es, pt = mixture["sources"]
    assert (es["name"], es["asked"], pt["asked"]) == ("es", 0.7, 0.3)
    assert es["rows"] + pt["rows"] == 12 * 8
    total = sum(one["rows_available"] for one in (es, pt))
    density = {n: s.facts.account["train"].text_bytes / s.facts.rows["train"] for n, s in shards.items()}
    share = 7 / density["es"] / (7 / density["es"] + 3 / density["pt"])
    assert abs(es["exact"] - share) < 1 / total
    assert abs(es["rows"] - es["exact"] * 96) < 1
    assert pt["epochs"] == pt["rows"] / shards["pt"].facts.rows["train"]
    assert manifest.read(run / "out/model").facts["mixture"] == mixture


def test_bytes_of_texts_are_counted(run):
    lines = [json.loads(line)["text"] for line in (run / "es.jsonl").read_text().splitlines()]
    kept = manifest.read(run / "out/sampled").items[0]["kept"]
    account = read_shards(run / "out/shards/es").facts.account
    found = sum(split.text_bytes for split in account.values())
    # a byte tokenizer: an id is a byte
    assert found == sum(split.ids for split in account.values())
    assert abs(found / kept - sum(len(line.encode()) for line in lines) / len(lines)) < 5


def test_validation_is_by_source_and_weighted(run):
    points = [p for p in metrics(run / "out/model")["history"] if "validation_loss" in p]
    assert [p["step"] for p in points] == [0, 12]
    sources = metrics(run / "out/model")["mixture"]["sources"]
    for point in points:
        mean = sum(one["exact"] * point[f"validation_loss/{one['name']}"] for one in sources)
        assert point["validation_loss"] == pytest.approx(mean, abs=0.01)  # by the asked shares, not the rounded ones
    assert sources[0]["validation_loss"] == points[-1]["validation_loss/es"]


def test_the_card_has_the_mixture(run):
    card = (run / "out/model/README.md").read_text()
    assert "Mixed by weights:" in card
    assert "| source | asked share of the bytes | share of the rows | realised | rows read | epochs |" in card
    assert "| es | 70.0000% |" in card


def test_a_run_and_its_folders_are_skipped_verified_and_mended(run, tmp_path, capsys):
    """Of damaged shards only the source's own are damaged; --rebuild makes them, and the model, again."""
    out = tmp_path / "out"
    shutil.copytree(run / "out", out)
    code, said, _ = tamiz(capsys, "run", run / "mixed.toml", "--out", out)
    assert (code, said.count("already finished")) == (0, 6)
    assert tamiz(capsys, "verify", out)[0] == 0
    before = (out / "model/model.safetensors").read_bytes()
    part = next((out / "shards/pt/train").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-5] + b"xxxxx")
    assert tamiz(capsys, "verify", out)[0] == 1
    code, said, _ = tamiz(capsys, "run", run / "mixed.toml", "--out", out, "--rebuild")
    assert code == 0
    assert f"redone: {part}" in said
    assert (out / "model/model.safetensors").read_bytes() == before
    assert tamiz(capsys, "verify", out)[0] == 0


def test_other_weights_are_another_training(run, capsys):
    code, _, error = tamiz(capsys, "run", run / "mixed.toml", "--out", run / "out", "--set", "mixture.weights.es=1")
    assert code == 1
    assert "was made from something else (mixture.rows" in error


def test_trained_by_the_shards_folders_the_model_is_the_same(run, tmp_path, capsys):
    """The folder of all shards, or each, takes the recipe's mixture: as torchrun, or another machine, would train."""
    shards = run / "out/shards"
    for number, given in enumerate(([shards], [shards / "pt", shards / "es"])):
        flags = [flag for folder in given for flag in ("--shards", folder)]
        out = tmp_path / f"model{number}"
        code, said, error = tamiz(capsys, "train", *flags, "--model", run / "mixed.toml", "--out", out)
        assert code == 0, error
        assert "es: asked 70.00% of the bytes; " in said
        model = (out / "model.safetensors").read_bytes()
        assert model == (run / "out/model/model.safetensors").read_bytes()


def test_weights_of_folders_replace_the_recipes(run, tmp_path, capsys):
    flags = ["--shards", f"{run}/out/shards/es=1", "--shards", f"{run}/out/shards/pt=3", "--max-epochs", "30"]
    code, _, error = tamiz(capsys, "train", *flags, "--model", run / "mixed.toml", "--out", tmp_path / "model")
    assert code == 0, error
    mixture = metrics(tmp_path / "model")["mixture"]
    assert (mixture["unit"], [one["asked"] for one in mixture["sources"]]) == ("rows", [0.25, 0.75])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--shards", "{shards}/es=1", "--shards", "{shards}/pt"], "pt has no weight, but others have"),
        (["--shards", "{shards}/es=0", "--shards", "{shards}/pt=1"], "the weight is 0; it must be above 0"),
        (["--shards", "{shards}=2"], "holds the shards of several sources; give each its weight, as "),
        (["--shards", "{shards}/es=x"], "'x' is no number; give DIR or DIR=WEIGHT"),
        (["--shards", "{shards}/es", "--shards", "{shards}/es"], "twice: name each folder once"),
        (["--shards", "{shards}/es", "--max-epochs", "3"], "--max-epochs is for mixtures"),
        (["--shards", "{shards}", "--max-epochs", "0"], "--max-epochs is 0.0; it must be above 0"),
        (["--shards", "{shards}", "--max-epochs", "0.5"], "epochs of it, and at most 0.5 are allowed (max_epochs)"),
    ],
)
def test_folders_that_cant_be_mixed_are_refused_before_work(run, tmp_path, capsys, flags, said):
    flags = [flag.format(shards=run / "out/shards") for flag in flags]
    code, _, error = tamiz(capsys, "train", *flags, "--model", run / "mixed.toml", "--out", tmp_path / "model")
    assert (code, said in " ".join(error.split())) == (2, True), error
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["mixture.weights.ko=1"], "mixture.weights.ko: no [[documents]] have this name; they are es, pt"),
        (["mixture.weights.pt="], "mixture.weights.pt is missing: give the documents 'pt' a number above 0"),
        (["documents.1.name="], "documents.1.name is missing: [mixture] mixes documents by their names"),
        (["documents.1.name="], 'leave it out: --set mixture=, or without = ["mixture"]'),
        (["documents.1.name=es"], "[mixture] needs two sources or more"),
        (["documents.1.name=pt__br"], "documents.1.name is 'pt__br'; with [mixture], it can't contain __"),
        (["mixture.weights.pt=true"], "mixture.weights.pt is True; it must be a number"),
        (["mixture.weights=3"], "mixture.weights is 3; it must be a table"),
        (["mixture.unit=words"], "mixture.unit is 'words'"),
        (["mixture.method=uniform"], "mixture.method is 'uniform'; it must be one of weights, temperature, unimax"),
        (["mixture.method=unimax"], "weights does not apply to the method unimax: remove it"),
        (["mixture.wieghts.es=1"], "mixture.wieghts: no such key, did you mean mixture.weights?"),
        (["mixture.max_epochs=0"], "mixture.max_epochs is 0"),
    ],
)
def test_recipes_that_cant_be_mixed_are_refused_before_work(run, tmp_path, capsys, changes, said):
    flags = [flag for change in changes for flag in ("--set", change)]
    code, _, error = tamiz(capsys, "run", run / "mixed.toml", "--out", tmp_path / "out", *flags)
    assert (code, said in " ".join(error.split())) == (2, True), error
    assert not (tmp_path / "out").exists()


def test_shards_of_a_run_without_a_mixture_arent_mixed(tmp_path, capsys):
    """Nor do they disappear."""
    recipe, out = without_a_sample(tmp_path), tmp_path / "out"
    code, _, error = tamiz(capsys, "run", recipe, "--out", out, "--until", "shards", "--set", "mixture=")
    assert code == 0, error
    code, _, error = tamiz(capsys, "run", recipe, "--out", out, "--until", "shards")
    assert code == 1
    assert "holds the shards of all documents, built without [mixture]" in " ".join(error.split())
    (out / "shards").rename(tmp_path / "old")
    code, said, error = tamiz(capsys, "run", recipe, "--out", out, "--until", "shards")
    assert code == 0, error
    assert {path.name for path in (out / "shards").iterdir() if path.is_dir()} == {"es", "pt"}
    assert "es: documents" in said


LINES = {"rejected": "no JSON\n" * 3, "short": '{"text": "Olá"}\n', "empty": ""}


@pytest.mark.parametrize(
    ("lines", "sampled", "said"),
    [
        ("rejected", False, "'pt' has no training rows to mix: 3 of 3 rows (100.0%) were rejected"),
        ("short", False, "'pt' has no training rows to mix: its documents don't fill one; give it more"),
        ("empty", False, "'pt' has no training rows to mix: its documents don't fill one"),
        ("rejected", True, "the sample has no document of 'pt', which [mixture] mixes: of 3 rows, 3 were rejected"),
    ],
)
def test_a_source_without_a_row_is_named_when_its_shards_are_built(tmp_path, capsys, lines, sampled, said):
    """In one line, with why; and again when nothing has changed."""
    recipe = write(tmp_path) if sampled else without_a_sample(tmp_path)
    (tmp_path / "pt.jsonl").write_text(LINES[lines])
    for _ in range(2):
        code, _, error = tamiz(capsys, "run", recipe, "--out", tmp_path / "out", "--until", "shards")
        told = [line for line in error.splitlines() if line.startswith("error: ")]
        assert (code, len(told)) == (1, 1)
        assert said in " ".join(error.split())
    assert not (tmp_path / "out/model").exists()


def sample_of(items, files, **facts):
    return Manifest(
        stage="sample", fingerprint="", made_from=MadeFrom(stage="sample", algorithm=1, settings={}, inputs=[]),
        items=[{"name": name} for name in items], facts=facts,
        files=[FileRecord(path=path, bytes=1, sha256="") for path in files],
    )  # fmt: skip


ITEMS = ["es__a.jsonl", "es__b.jsonl", "pt__a.jsonl"]
PARTS = [f"part-0000{n}.jsonl.gz" for n in range(3)]


def test_parts_of_a_sample_belong_to_the_names_of_their_items(tmp_path):
    found = parts_by_name(tmp_path, sample_of(ITEMS, [*PARTS, "rejected/es__a.jsonl"]), ["pt", "es"])
    assert found == {"pt": [str(tmp_path / PARTS[2])], "es": [str(tmp_path / part) for part in PARTS[:2]]}


def test_joined_parts_say_which_items_they_hold(tmp_path):
    joined = [{"file": PARTS[0], "items": ITEMS[:2]}, {"file": PARTS[1], "items": ITEMS[2:]}]
    found = parts_by_name(tmp_path, sample_of(ITEMS, PARTS[:2], parts=joined), ["es", "pt"])
    assert found == {"es": [str(tmp_path / PARTS[0])], "pt": [str(tmp_path / PARTS[1])]}


@pytest.mark.parametrize(
    ("items", "files", "facts", "said"),
    [
        (ITEMS, PARTS, {"parts": [{"file": PARTS[0], "items": ITEMS}]}, "part-00000.* isn't of one of the sources"),
        (ITEMS, PARTS, {"parts": [{"file": "gone.gz", "items": ITEMS[:1]}]}, "the part gone.gz holds es__a"),
        (ITEMS, PARTS, {"parts": [{"items": ITEMS[:1]}]}, "is damaged"),
        (ITEMS, PARTS[:2], {}, "the part that is missing holds pt__a"),
        (["es__a", "a", "pt__c"], PARTS, {}, "holds a, which isn't of one of the sources es, pt"),
        (["es__a", "es__b", "es__c"], PARTS, {}, "has no documents of 'pt'"),
    ],
)
def test_parts_of_no_source_or_several_are_refused(tmp_path, items, files, facts, said):
    with pytest.raises(DamagedFile, match=said):
        parts_by_name(tmp_path, sample_of(items, files, **facts), ["es", "pt"])
