"""A model and a tokenizer that don't belong together are refused; models that do are not."""

from __future__ import annotations

import json
from pathlib import Path

import kenlm
import pytest

from corpora.errors import BadArgument
from corpora.perplexity import PerplexityModel
from corpora.perplexity.routing import LmChoice, choose_models
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from corpora.text.normalise import CCNET, Normaliser
from pipelines.score import score
from pipelines.settings import RunnerSettings, ScoreSettings
from tamiz.recipes.schema import DEMO
from tamiz.stages.common import Context
from tamiz.stages.score import score_stage
from tests.reference import ccnet_normalise

DOCUMENTS = [json.loads(line)["text"] for line in (DEMO / "documents.jsonl").read_text().splitlines()]
CASED = Normaliser(lower_case=False, remove_accents=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """large.bin, small.bin and words.bin as if from elsewhere, the first two with their tokenizers."""
    folder = tmp_path_factory.mktemp("foreign")
    train_lm(DOCUMENTS, folder / "large.bin", settings=LmSettings(order=2, train_tokenizer=3000))
    train_lm(
        DOCUMENTS[::3],
        folder / "small.bin",
        settings=LmSettings(order=3, train_tokenizer=400, arpa=str(folder / "small.arpa")),
    )
    train_lm(DOCUMENTS, folder / "words.bin", settings=LmSettings(order=2, words=True))
    for path in folder.glob("*.json"):
        path.unlink()
    return folder


def scored(models: Path, out: Path, lm: str, tokenizer: str | None, **settings: object) -> dict[str, dict[str, int]]:
    asked = ScoreSettings(mode="lines" if tokenizer else "bertin", **settings)  # type: ignore[arg-type]
    given = models / f"{tokenizer}.spiece.model" if tokenizer else None
    outcome = score([str(DEMO / "documents.jsonl")], models / lm, out, asked, RunnerSettings(), tokenizer=given)
    return outcome.manifest.facts


@pytest.mark.parametrize(
    ("lm", "tokenizer", "problem"),
    [
        ("large.bin", "small", "of the model is words that .*small.spiece.model never makes"),
        ("words.bin", "large", "of the model is words that .*large.spiece.model never makes"),
        ("large.bin", None, "is a model of pieces, and mode bertin scores raw words"),
    ],
)
def test_what_does_not_belong_together_is_refused_before_any_work(
    models: Path, tmp_path: Path, lm: str, tokenizer: str | None, problem: str
) -> None:
    with pytest.raises(BadArgument, match=problem):
        scored(models, tmp_path / "out", lm, tokenizer)
    assert not (tmp_path / "out").exists()
    facts = scored(models, tmp_path / "out", lm, tokenizer, allow_unknown=True)
    assert facts["tokens"]["all"] > 30_000


@pytest.mark.parametrize(("lm", "tokenizer"), [("large.bin", "large"), ("small.bin", "small"), ("words.bin", None)])
def test_a_model_with_its_own_is_taken(models: Path, tmp_path: Path, lm: str, tokenizer: str | None) -> None:
    facts = scored(models, tmp_path / "out", lm, tokenizer)
    assert facts["unknown_tokens"]["all"] < 0.01 * facts["tokens"]["all"]


def test_the_share_is_that_of_kenlm(models: Path) -> None:
    """The same for a probing binary, and for an ARPA file, which kenlm scores."""
    tokenizer = models / "small.spiece.model"
    fast = PerplexityModel(models / "small.bin", tokenizer, "lines")
    slow = PerplexityModel(models / "small.arpa", tokenizer, "lines", trust=True)
    texts = [*DOCUMENTS[:40], "日本 語", "nul\0 oculto"]
    assert fast.scores(texts)[2:] == slow.scores(texts)[2:]
    assert fast.unreachable == pytest.approx(slow.unreachable, abs=1e-3)
    words = PerplexityModel(models / "words.bin", None, "bertin")
    vocabulary = kenlm.Model(str(models / "words.bin"))
    known = [word in vocabulary for text in texts[:40] for word in text.split()]
    assert words.scores(texts[:40])[2:] == (len(known), known.count(False))


def test_unknown_documents_are_told(models: Path, tmp_path: Path) -> None:
    """Documents of a script that the model never saw: refused; a few of them: a warning."""
    strange = "".join(chr(0x4E00 + n % 3000) + " " for n in range(4000))
    source = tmp_path / "zh.jsonl"
    source.write_text(json.dumps({"text": strange}))
    chosen = choose_models([str(models / "small.bin")], [str(models / "small.spiece.model")], "lines")
    with pytest.raises(BadArgument, match=r"doesn't know 50% of 8,000 tokens.*--allow-unknown"):
        score_stage([str(source)], chosen, tmp_path / "zh", ScoreSettings(), Context())
    some = [*DOCUMENTS, strange]
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in some))
    report = score_stage([str(source)], chosen, tmp_path / "out", ScoreSettings(), Context())
    assert dict(report.rows)["tokens that the model doesn't know"].endswith("%")
    assert ["tokens" in warning for warning in report.warnings] in ([], [True])


def test_cased_models_have_their_own_normaliser(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As edugp's models: scores are those of the text with capitals and accents."""
    import sentencepiece

    from corpora.perplexity.lm_tokenizer import Spool, train_tokenizer

    lines = [ccnet_normalise.normalise(text, accent=False, case=False) for text in DOCUMENTS]
    with Spool(tmp_path / "es") as spool:
        spool.fill(lines)
        (tmp_path / "es.model").write_bytes(train_tokenizer(spool, 1500))
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "es.model"))
    pieces = [" ".join(processor.encode(line, out_type=str)) for line in lines]
    train_lm(pieces, tmp_path / "es.bin", settings=LmSettings(order=3, words=True))
    (tmp_path / "es.json").unlink()
    loop = kenlm.Model(str(tmp_path / "es.bin"))
    model = PerplexityModel(tmp_path / "es.bin", tmp_path / "es.model", "ccnet", normaliser=CASED)
    assert caplog.records == []
    assert model.score(DOCUMENTS).tolist() == [
        10.0 ** (-loop.score(line) / (len(line.split()) + 1)) for line in pieces
    ]
    PerplexityModel(tmp_path / "es.bin", tmp_path / "es.model", "ccnet")
    assert "--no-lower-case --no-remove-accents" in caplog.text


def test_a_normaliser_is_for_foreign_models_of_pieces(models: Path, tmp_path: Path) -> None:
    train_lm(DOCUMENTS[:20], tmp_path / "es.bin", settings=LmSettings(order=2, words=True))
    with pytest.raises(BadArgument, match=r"es\.json is there: leave them out"):
        PerplexityModel(tmp_path / "es.bin", normaliser=CASED)
    with pytest.raises(BadArgument, match="mode bertin scores raw words: leave lower_case"):
        PerplexityModel(models / "words.bin", None, "bertin", normaliser=CASED)
    with pytest.raises(BadArgument, match=r"every --lm has its LM\.json"):
        choose_models([f"es={tmp_path / 'es.bin'}"], normaliser=CASED)
    assert choose_models([str(models / "small.bin")]) == (LmChoice(str(models / "small.bin"), normaliser=CCNET),)


@pytest.mark.parametrize(
    "given", [(text for text in DOCUMENTS), map(str, DOCUMENTS), {"a": 1}, {"a"}, iter(DOCUMENTS)]
)
def test_only_sequences_are_scored(models: Path, given: object) -> None:
    with pytest.raises(BadArgument, match="pass a list or an Arrow array"):
        PerplexityModel(models / "words.bin", None, "bertin").score(given)  # type: ignore[arg-type]
