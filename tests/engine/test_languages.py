"""Several models in one scoring run: routed by a column or by the file's path, nothing lost, nothing mixed up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.documents.formats import refuse_missing_column
from corpora.documents.groups import language_of_path
from corpora.documents.items import work_items
from corpora.errors import BadArgument, DamagedFile, StaleOutput
from corpora.perplexity.model import PerplexityModel
from corpora.perplexity.routing import LmChoice, choose_models
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from corpora.sampling.methods import sample_settings
from pipelines.sample import sample
from pipelines.score import score
from pipelines.settings import RunnerSettings, ScoreSettings
from tamiz.verify import verify
from tests.command import tamiz
from tests.invented import document

HERE = RunnerSettings()
TEXTS = [document(n) for n in range(120)]
COLUMN = ScoreSettings(language_column="lang")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[LmChoice, ...]:
    """es and pt, of different text and order."""
    folder = tmp_path_factory.mktemp("models")
    train_lm(TEXTS[:60], folder / "es.bin", settings=LmSettings(order=3, train_tokenizer=80))
    train_lm(TEXTS[60:], folder / "pt.bin", settings=LmSettings(order=2, words=True))
    return tuple(LmChoice(str(folder / f"{language}.bin"), language) for language in ("es", "pt"))


def rows() -> list[dict[str, Any]]:
    """Documents of both languages in turn, of a third, and of none."""
    tags = ["es", "pt", "gl", None, "es", ""]
    return [{"text": text, "lang": tags[n % 6]} for n, text in enumerate(TEXTS)]


def write_lines(path: Path, content: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in content))


def read(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def expected(models: tuple[LmChoice, ...], content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    loaded = {model.language: PerplexityModel(model.path) for model in models}
    found = []
    for row, document_ in enumerate(content):
        language = document_["lang"]
        if language in loaded:
            perplexity, tokens = loaded[language].score_with_lengths([document_["text"]])
            scored: tuple[Any, ...] = (float(perplexity[0]), int(tokens[0]), language)
        else:
            scored = (None, None, None)
        found.append(dict(zip(("row", "perplexity", "num_tokens", "language"), (row, *scored), strict=True)))
    return found


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_routed_by_a_column(models: tuple[LmChoice, ...], tmp_path: Path, kind: str) -> None:
    """Items of any size, rows of any language in any batch: each row has its own model's score."""
    content = rows()
    path = tmp_path / f"in.{kind}"
    if kind == "jsonl":
        write_lines(path, content)
    else:
        pq.write_table(pa.Table.from_pylist(content), path, row_group_size=50)
    for item_bytes in (1 << 26, 4_000):
        settings = ScoreSettings(language_column="lang", item_bytes=item_bytes)
        out = tmp_path / str(item_bytes)
        outcome = score([str(path)], models, out, settings, HERE)
        names = [item.name for item in work_items([str(path)], item_bytes)]
        assert [row for name in names for row in read(out / f"{name}.parquet")] == expected(models, content)
        assert outcome.manifest.counts["kept"] == 60
        assert outcome.manifest.facts["languages"] == {"es": 40, "pt": 20}
        assert outcome.manifest.counts["rejected"] == {"no language": 40, "no model for language": 20}
        assert verify(out)[1] == []


def test_what_was_not_scored_is_kept_aside(models: tuple[LmChoice, ...], tmp_path: Path) -> None:
    content = [*rows()[:6], {"lang": "es"}, {"text": "uno", "lang": 7}, {"text": "dos"}]
    write_lines(tmp_path / "in.jsonl", content)
    score([str(tmp_path / "in.jsonl")], models, tmp_path / "out", COLUMN, HERE)
    kept_aside = [json.loads(line) for line in (tmp_path / "out" / "rejected" / "in.jsonl.jsonl").open()]
    assert [(r["row"], r["reason"]) for r in kept_aside] == [
        (2, "no model for language: gl"), (3, "no language"), (5, "no language"),
        (6, "text missing: its keys are lang"), (7, "no model for language: 7"), (8, "no language"),
    ]  # fmt: skip


def test_routed_by_path(models: tuple[LmChoice, ...], tmp_path: Path) -> None:
    write_lines(tmp_path / "es" / "a.jsonl", rows()[:10])
    write_lines(tmp_path / "es" / "c4-PT.tfrecord-00000.jsonl", rows()[:10])
    outcome = score([str(tmp_path / "es" / "*")], models, tmp_path / "out", ScoreSettings(), HERE)
    for name, model in zip(("a.jsonl", "c4-PT.tfrecord-00000.jsonl"), models, strict=True):
        found = read(tmp_path / "out" / f"{name}.parquet")
        assert {row["language"] for row in found} == {model.language}
        plain = PerplexityModel(model.path).score([row["text"] for row in rows()[:10]])
        assert [row["perplexity"] for row in found] == plain.tolist()
    assert outcome.manifest.counts == {"read": 20, "kept": 20, "sampled_out": 0, "rejected": {}}


def test_the_fingerprint_holds_models_and_routes(models: tuple[LmChoice, ...], tmp_path: Path) -> None:
    source, out = tmp_path / "es" / "a.jsonl", tmp_path / "out"
    write_lines(source, rows()[:5])
    made_from = score([str(source)], models, out, ScoreSettings(), HERE).manifest.made_from
    assert made_from.settings["models"]["pt"]["mode"] == "bertin"
    assert score([str(source)], models[::-1], out, ScoreSettings(), HERE).state == "finished"
    with pytest.raises(StaleOutput, match="models"):
        score([str(source)], models[:1], out, ScoreSettings(), HERE)
    swapped = tuple(LmChoice(a.path, b.language) for a, b in zip(models, models[::-1], strict=True))
    with pytest.raises(StaleOutput, match="models"):
        score([str(source)], swapped, out, ScoreSettings(), HERE)
    shutil.move(tmp_path / "es", tmp_path / "pt")  # the same name and content, another language
    with pytest.raises(StaleOutput, match="inputs_by_path"):
        score([str(tmp_path / "pt" / "a.jsonl")], models, out, ScoreSettings(), HERE)


def test_models_load_once_and_only_where_needed(
    models: tuple[LmChoice, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    class Counted(PerplexityModel):
        def __init__(self, path: str, *arguments: Any, **named: Any) -> None:
            loaded.append(Path(path).stem)
            super().__init__(path, *arguments, **named)

    monkeypatch.setattr("corpora.perplexity.annotator.PerplexityModel", Counted)
    write_lines(tmp_path / "es" / "a.jsonl", rows())
    write_lines(tmp_path / "es" / "b.jsonl", rows())
    settings = ScoreSettings(item_bytes=4_000)
    score([str(tmp_path / "es" / "*")], models, tmp_path / "out", settings, RunnerSettings(workers=2))
    assert loaded == ["es"]


def test_a_path_without_language_is_refused_before_any_work(models: tuple[LmChoice, ...], tmp_path: Path) -> None:
    write_lines(tmp_path / "corpus.jsonl", rows()[:5])
    with pytest.raises(BadArgument, match=r"corpus\.jsonl: none of es, pt occurs in its path"):
        score([str(tmp_path / "corpus.jsonl")], models, tmp_path / "out", ScoreSettings(), HERE)
    assert not (tmp_path / "out").exists()


def test_a_bad_tokenizer_is_told_before_any_work(models: tuple[LmChoice, ...], tmp_path: Path) -> None:
    write_lines(tmp_path / "es.jsonl", rows()[:5])
    shutil.copy(models[0].path, tmp_path / "lm.bin")
    (tmp_path / "bad.model").write_text("no model")
    choice = LmChoice(str(tmp_path / "lm.bin"), "es", str(tmp_path / "bad.model"), "lines")
    with pytest.raises(DamagedFile, match=r"bad\.model"):
        score([str(tmp_path / "es.jsonl")], [choice], tmp_path / "out", ScoreSettings(), HERE)
    assert not (tmp_path / "out").exists()


def test_a_column_needs_models_with_languages(models: tuple[LmChoice, ...], tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", rows()[:5])
    with pytest.raises(BadArgument, match="a model has no language"):
        score([str(tmp_path / "a.jsonl")], Path(models[0].path), tmp_path / "out", COLUMN, HERE)


def test_a_sample_of_routed_scores(models: tuple[LmChoice, ...], tmp_path: Path) -> None:
    """Documents without a score are never kept, and read = kept + sampled out + rejected still holds."""
    write_lines(tmp_path / "in.jsonl", rows())
    patterns = [str(tmp_path / "in.jsonl")]
    score(patterns, models, tmp_path / "scores", COLUMN, HERE)
    outcome = sample(
        patterns, tmp_path / "scores", tmp_path / "sampled", sample_settings(method="random", keep=1), HERE
    )
    assert outcome.manifest.counts["kept"] == 60
    assert verify(tmp_path / "sampled")[1] == []


def test_the_command_takes_languages(
    models: tuple[LmChoice, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(tmp_path / "in.jsonl", rows())
    given = [f"{model.language}={model.path}" for model in models]
    arguments = ["score", "--input", str(tmp_path / "in.jsonl"), "--lm", *given, "--out", str(tmp_path / "out")]
    for more, code, told in (
        ([], 2, "none of es, pt occurs in its path"),
        (["--language-column", "lang"], 1, "were rejected"),
        (["--language-column", "lang", "--max-rejected", "0.5"], 0, "no model for language"),
    ):
        ended, out, error = tamiz(capsys, *arguments, *more)
        assert ended == code
        assert told in out + error


PATHS = [
    ("c4-es.tfrecord-00000.json.gz", "es"),
    ("/data/pt/es__es-00000-of-00016.jsonl.zst", "es"),
    ("s3://bucket/pt/2024/a.parquet", "pt"),
    ("hf://datasets/x/PT/a.jsonl", "pt"),
    ("texts_pt-br_1.jsonl", "pt-BR"),
    ("pt/br.jsonl", "pt"),
    ("C:\\corpora\\es\\a.txt", "es"),
    ("/es/portes/ñes.txt", "es"),
]


@pytest.mark.parametrize(("path", "language"), PATHS)
def test_the_language_of_a_path(path: str, language: str) -> None:
    assert language_of_path(path, ["es", "pt", "pt-BR"]) == language


@pytest.mark.parametrize(
    ("path", "match"),
    [("es-pt.jsonl", "es and pt both occur in 'es-pt.jsonl'"), ("tests/best.jsonl", "none of es, pt"), ("", "none")],
)
def test_a_path_without_one_language(path: str, match: str) -> None:
    with pytest.raises(BadArgument, match=match):
        language_of_path(path, ["es", "pt"])


def test_names_of_models(tmp_path: Path) -> None:
    assert choose_models(["es.bin"], ["t.model"], "lines") == (LmChoice("es.bin", None, "t.model", "lines"),)
    assert choose_models(["./a=b.bin"])[0] == LmChoice("./a=b.bin")
    assert choose_models(["es=es.bin", "pt=pt.bin"], ["pt=p.model", "e.model"], "ccnet", trust=True) == (
        LmChoice("es.bin", "es", "e.model", "ccnet", True), LmChoice("pt.bin", "pt", "p.model", "ccnet", True),
    )  # fmt: skip
    (
        tmp_path / "pt.json"
    ).touch()  # a model with LM.json takes its own tokenizer, and refuses another mode when opened
    assert choose_models([f"pt={tmp_path}/pt.bin"], [], "ccnet")[0].mode == "ccnet"
    with pytest.raises(BadArgument, match="leave it out"):
        choose_models([f"pt={tmp_path}/pt.bin"], ["t.model"])


@pytest.mark.parametrize(
    ("models", "tokenizers", "match"),
    [
        (["a.bin", "b.bin"], [], "name the language of each"),
        (["es=a.bin", "es=b.bin"], [], "es is given twice"),
        (["es=a.bin", "b.bin"], [], "name the language of each"),
        (["a.bin"], ["es=t"], "name the language of each"),
        (["es=a.bin"], ["pt=t"], "no --lm pt="),
    ],
)
def test_names_that_cannot_be(models: list[str], tokenizers: list[str], match: str) -> None:
    with pytest.raises(BadArgument, match=match):
        choose_models(models, tokenizers)


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.parquet"])
def test_a_column_that_cannot_be_there_is_told_before_any_work(tmp_path: Path, name: str) -> None:
    if name == "a.parquet":
        pq.write_table(pa.table({"text": ["hola"], "lang": ["es"]}), tmp_path / name)
    else:
        (tmp_path / name).write_text("1\thola\n")
    items = work_items([str(tmp_path / name)])
    with pytest.raises(BadArgument, match=f"{name} has no column language; its columns are text"):
        refuse_missing_column(items, "language")
    refuse_missing_column(items, "text")
    (tmp_path / name).write_bytes(b"PAR1 damaged")
    refuse_missing_column(items, "text")
