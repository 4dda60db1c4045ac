"""Cards: what they say is the manifest's or was stated, and their examples run."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import markdown
import pytest
import yaml

from corpora import manifest
from corpora.documents.sources import DocumentSource
from corpora.errors import DamagedFile
from corpora.sampling.methods import sample_settings
from corpora.verify import verify
from tamiz.cards import folder_card
from tamiz.cards.check import problems
from tamiz.cards.dataset import DatasetFacts, dataset_card
from tamiz.cards.examples import EXAMPLES
from tamiz.cards.markdown import quoted
from tamiz.cards.model import CardFacts
from tamiz.hub.folder import PARTS
from tamiz.recipes.load import load
from tamiz.stages.common import Context
from tamiz.stages.described import hub_datasets, sources_of
from tamiz.stages.sample import sample_stage
from tamiz.stages.tokenizer import tokenizer_stage
from tamiz.stages.train import _made_from as train_made_from
from tamiz.stages.train import train_stage
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.families.t5 import T5
from tamiz.trainer.settings import TrainSettings
from tests.make_scores import scored_corpus
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer
from tokenizer_train.settings import TokenizerSettings

MODELS = {
    "span-corruption": T5(vocab_size=VOCAB_SIZE, num_layers=1, num_decoder_layers=1, d_model=16, d_ff=16, d_kv=4,
                          num_heads=2),
    "causal": Llama(vocab_size=VOCAB_SIZE, hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2,
                    num_kv_heads=2, max_position_embeddings=64),
}  # fmt: skip


def front(text: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(text.split("---")[1])
    return found


def run_example(text: str) -> dict[str, object]:
    """Runs the card's Python in the current folder; returns its names."""
    names: dict[str, object] = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1].replace("OWNER/NAME", str(Path.cwd())), names)
    return names


@pytest.mark.parametrize("objective", MODELS)
def test_the_example_of_a_models_card_runs(objective, tmp_path, monkeypatch, capsys):
    from transformers.pipelines import SUPPORTED_TASKS

    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    shards = make_shards(tmp_path / "shards", tokenizer=tokenizer, objective=objective)
    settings = TrainSettings(steps=1, batch_size=2, validate_every=1, device="cpu", warmup_steps=0)
    train_stage(shards, tokenizer, tmp_path / "model", MODELS[objective], settings, Context())
    text = (tmp_path / "model" / "README.md").read_text()
    head = front(text)
    assert problems(text, "model") == []
    assert "license" not in head
    assert "language" not in head
    assert head.get("pipeline_tag") in (None, *SUPPORTED_TASKS)
    assert "| licence | not stated |" in text
    monkeypatch.chdir(tmp_path / "model")
    names = run_example(text)
    assert names["ids"].shape[1] > 1
    assert capsys.readouterr().out.strip()
    assert verify(tmp_path / "model")[1] == []


@pytest.fixture(scope="module")
def sampled(tmp_path_factory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("cards")
    patterns = scored_corpus(folder)[1]
    for fmt in ("parquet", "jsonl.gz"):
        settings = sample_settings(keep=0.4, width=2 / 9, format=fmt)
        sample_stage(patterns, folder / "scores", folder / fmt, settings, Context())
    return folder, patterns


@pytest.mark.parametrize("fmt", ["parquet", "jsonl.gz"])
def test_a_sample_has_a_card_by_which_datasets_loads_it(sampled, fmt, monkeypatch, capsys, tmp_path):
    home = sampled[0] / fmt
    content = manifest.read(home)
    text = (home / "README.md").read_text()
    head = front(text)
    assert head["language"] == ["es", "pt"]
    assert head["size_categories"] == ["n<1K"]
    assert "license" not in head
    assert [r.path for r in content.derived] == ["README.md", "perplexity.png"]
    assert verify(home)[1] == []
    assert problems(text, "dataset") == []
    kept = content.counts["kept"]
    for said in (f"| documents kept | {kept} |", "| news | 500 | ", content.fingerprint, "es: gaussian: median"):
        assert said in text
    monkeypatch.chdir(home)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    documents = run_example(text)["documents"]
    assert len(documents) == kept
    assert set(documents.column_names) >= {"text", "url", "perplexity", "keep_probability"}
    assert capsys.readouterr().out.strip()
    import datasets

    streamed = datasets.load_dataset(str(home), split="train", streaming=True)
    assert [row["text"] for row in streamed] == documents["text"][:]
    assert len(re.findall(r"^Perplexity .*\n\n```text\n.+\n```$", text, re.M | re.S)) >= 1
    assert text.count("```text") == EXAMPLES


def test_the_card_lists_the_columns_and_sources_that_the_sample_has(sampled):
    content = manifest.read(sampled[0] / "parquet")
    columns = {"carried": ["id", "a|b"], "other_fields": True}
    content.facts |= {"columns": columns, "sources": {"x.org": {"documents": 1000, "kept": 5}}}
    content.made_from.settings["method"] = "buckets"
    text = dataset_card(content, DatasetFacts(sources=("mc4-es: Xue et al.",)))
    for said in (
        "| bucket | of",
        "| id | as in",
        "| a\\|b |",
        "| all other fields | as in the source |",
        "| x.org | 1,000 | 5 | 0.0050 |",
        "| mc4-es: Xue et al. |",
    ):
        assert said in text
    assert "| news |" not in text


def test_an_edited_card_is_kept_and_a_missing_one_is_written(sampled):
    folder, patterns = sampled
    home = folder / "parquet"
    settings = sample_settings(keep=0.4, width=2 / 9)
    written = [(home / name).read_bytes() for name in ("README.md", "perplexity.png")]
    (home / "README.md").write_text("mine")
    sample_stage(patterns, folder / "scores", home, settings, Context())
    assert (home / "README.md").read_text() == "mine"
    (home / "README.md").unlink()
    sample_stage(patterns, folder / "scores", home, settings, Context())
    assert [(home / name).read_bytes() for name in ("README.md", "perplexity.png")] == written
    assert verify(home)[1] == []


def test_a_recipes_licence_is_not_put_on_the_users_files(tmp_path):
    demo = load("t5-spanish-efficient-tiny", demo=True)
    assert (demo.licence, demo.language) == ("apache-2.0", "es")
    mine = load("t5-spanish-efficient-tiny", demo=True, overrides=["documents.input=mine/*.jsonl"])
    assert (mine.licence, mine.language) == ("", "")
    stated = ["documents.input=mine/*.jsonl", "licence=cc-by-4.0", "language=pt"]
    mine = load("t5-spanish-efficient-tiny", demo=True, overrides=stated)
    assert (mine.licence, mine.language) == ("cc-by-4.0", "pt")
    (tmp_path / "mine.toml").write_text(
        'base = "t5-spanish-efficient-tiny"\nlanguage = "pt"\n[documents]\ninput = "x"\n'
    )
    mine = load(str(tmp_path / "mine.toml"))
    assert (mine.licence, mine.language) == ("", "pt")
    assert load("t5-spanish-efficient-tiny").licence == ""  # whoever trains it states the licence


def test_a_licence_that_is_stated_is_in_the_card(tmp_path):
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    shards = make_shards(tmp_path / "shards", tokenizer=tokenizer)
    settings = TrainSettings(steps=1, batch_size=2, validate_every=1, device="cpu", warmup_steps=0)
    facts = CardFacts(licence="cc-by-4.0", language=("es", "pt"))
    train_stage(shards, tokenizer, tmp_path / "model", MODELS["span-corruption"], settings, Context(), facts)
    head = front((tmp_path / "model" / "README.md").read_text())
    assert (head["license"], head["language"]) == ("cc-by-4.0", ["es", "pt"])


def test_a_tokenizer_has_a_card_that_training_does_not_depend_on(tmp_path, monkeypatch, capsys):
    home = tmp_path / "tokenizer"
    (tmp_path / "text.jsonl").write_text('{"text": "uno, dos, tres y cuatro"}\n' * 3)
    wanted = TokenizerSettings(kind="bytes", vocab_size=384, extra_ids=125)
    tokenizer_stage([str(tmp_path / "text.jsonl")], home, wanted, Context())
    text = (home / "README.md").read_text()
    assert verify(home)[1] == []
    assert "# A tokenizer of 384 ids" in text
    assert [r.path for r in manifest.read(home).derived] == ["README.md"]
    assert problems(text, "model") == []
    shards = make_shards(tmp_path / "shards", tokenizer=home, vocab_size=384)
    made_from = train_made_from(
        shards, home, MODELS["span-corruption"], TrainSettings(steps=1, batch_size=1, learning_rate=0.1)
    )
    assert "tokenizer/README.md" not in {one.name for one in made_from.inputs}
    assert "tokenizer/tokenizer.json" in {one.name for one in made_from.inputs}
    monkeypatch.chdir(home)
    run_example(text)
    assert capsys.readouterr().out.strip()


def test_a_trained_tokenizer_s_card_has_its_evaluation_and_a_plot(tmp_path):
    words = [f"palabra{n % 40} de prueba número {n}" for n in range(400)]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": " ".join(words[n : n + 20])}) + "\n"
                                                 for n in range(0, 400, 20)))  # fmt: skip
    wanted = TokenizerSettings(kind="unigram", vocab_size=100, extra_ids=0, fill_unused=True)
    tokenizer_stage([str(tmp_path / "text.jsonl")], tmp_path / "out", wanted, Context(), ("es",), ("mc4-es",))
    content = manifest.read(tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    found = content.facts["evaluation"]
    assert [r.path for r in content.derived] == ["README.md", "words.png"]
    assert sum(found["tokens_of_words"]) == found["words"] == 400 * 5
    assert found["tokens"] >= sum(n * words for n, words in enumerate(found["tokens_of_words"], 1))
    assert f"| tokens per word (fertility) | {found['fertility']:.3f} |" in text
    assert front(text)["language"] == ["es"]
    assert "| source | mc4-es |" in text
    assert problems(text, "model") == []
    assert verify(tmp_path / "out")[1] == []


def test_folders_without_a_card_get_one_that_datasets_loads(sampled, tmp_path, monkeypatch):
    """Shards, scores, and a run: its sample by the name alone, its shards by theirs, nothing that stays behind."""
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    shards = make_shards(run / "shards", tokenizer=tokenizer)
    shutil.copytree(sampled[0] / "scores", run / "scores")
    shutil.copytree(sampled[0] / "parquet", run / "sampled")
    (run / "recipe.json").write_text('{"title": "A run: of <mine>", "reference": "https://example.org"}')
    made_from = manifest.MadeFrom(stage="run", algorithm=1, settings={}, inputs=[])
    manifest.write(run, manifest.Manifest(stage="run", finished=True, fingerprint="0", made_from=made_from))
    rows = manifest.read(shards).facts["rows"]
    for home in (run / "scores", shards, run):
        text = folder_card(home)
        assert problems(text, "dataset") == []
        (home / "README.md").write_text(text)
        assert folder_card(home) == text
    loaded = datasets.load_dataset(str(shards))
    assert {split: len(loaded[split]) for split in loaded} == {s: n for s, n in rows.items() if n}
    kept = manifest.read(run / "sampled").counts["kept"]
    assert len(datasets.load_dataset(str(run), split="train")) == kept
    scored = datasets.load_dataset(str(run / "scores"), split="train")
    assert len(scored) == manifest.read(run / "scores").counts["read"]
    paths = [each["path"] for config in front(text)["configs"] for each in config["data_files"]]
    named = {path.split("/")[0] for path in [*paths, *re.findall(r"^\| `(.*)/` \|", text, re.MULTILINE)]}
    assert named == {"sampled", "shards"} <= set(PARTS)
    streamed = datasets.load_dataset(str(run), "shards", split="train", streaming=True)
    assert sum(1 for _ in streamed) == rows["train"]
    assert "![Documents by perplexity before and after sampling, with the keep probability](sampled/" in text


def test_an_unfinished_folder_has_no_card(tmp_path):
    manifest.begin(tmp_path, manifest.MadeFrom(stage="score", algorithm=1, settings={}, inputs=[]))
    with pytest.raises(DamagedFile, match="unfinished"):
        folder_card(tmp_path)


def test_texts_of_others_can_not_leave_their_block():
    hostile = "```\n# <script>alert(1)</script> [x](javascript:1) ````` | `a` " + "x" * 300
    html = markdown.markdown(quoted(" ".join(hostile.split())), extensions=["fenced_code"])
    assert html.count("<") == html.count("</") * 2 == 4  # pre, code, and their ends
    assert "&lt;script&gt;" in html


def test_known_sources_propose_a_licence_and_state_none(sampled):
    content = manifest.read(sampled[0] / "parquet")
    text = dataset_card(content, DatasetFacts(source_datasets=("allenai/c4",)))
    assert "license" not in front(text)
    assert front(text)["source_datasets"] == ["allenai/c4"]
    assert "`license: odc-by`" in text
    stated = dataset_card(content, DatasetFacts(licence="odc-by", source_datasets=("allenai/c4",)))
    assert front(stated)["license"] == "odc-by"
    named = hub_datasets(["hf://datasets/a/b@main/x.parquet", "/data/x.jsonl", "hf://datasets/a/b/y.parquet"])
    assert named == ("a/b",)


def test_sources_are_named_where_they_are_published():
    sources = [DocumentSource(input=("hf://datasets/a/b/*.parquet",)), DocumentSource(input=("/home/me/x.jsonl",))]
    recipe = dataclasses.replace(load("t5-spanish-efficient-tiny"), documents=tuple(sources))
    assert sources_of(recipe) == ("a/b of the Hugging Face Hub", "the user's files")
