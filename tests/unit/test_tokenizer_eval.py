"""Evaluation of tokenizers: every figure equals the slow count, for each kind of tokenizer."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from corpora.documents.item import WorkItem
from corpora.encoding import load_encoder
from corpora.errors import BadArgument, DamagedFile
from corpora.texts import utf8
from tamiz.commands._fitting import fitting_tables
from tamiz.report.tokenizers import draw_tokenizers, plotted_groups
from tests.make_tokenizers import KINDS, make_tokenizer
from tests.reference.slow_evaluation import is_unspaced, slow_figures
from tokenizer_train.evaluation.auto_tokenizer import AutoForm
from tokenizer_train.evaluation.candidate import load_candidate, names_of
from tokenizer_train.evaluation.languages import language_of
from tokenizer_train.evaluation.measure import Texts, measure
from tokenizer_train.evaluation.read_back import read_back
from tokenizer_train.evaluation.tally import COUNTS, Tally, bits, figures, words_mean_little
from tokenizer_train.evaluation.words import continued, count_unspaced, count_words, word_prefix

ODD = [
    " dos  espacios\ty\ntres\n\nlíneas ",
    "Literal </s> y <extra_id_3> y <|endoftext|>",
    "▁ una▁marca ▁▁",
    "한국어와 日本語 と 中文 🎉 ไทย",
    "\u00a0 fin\u3000de ﬁla e\u0301 \x07 ~～",
    "   ",
    "a",
    "\ufeffcon BOM <b>",
]
PREFIXES = {"byte_level": " ", "no_prefix": " "}


@pytest.fixture(scope="session")
def made(texts, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tokenizers")
    return {kind: make_tokenizer(kind, texts, folder / kind) for kind in KINDS}


def normaliser(kind: str, path: str):
    """Written out for each kind, apart from the code under test."""
    if kind in ("unigram", "no_prefix", "keeps_spaces"):
        file = path if path.endswith(".model") else f"{path}/spiece.model"
        processor = sentencepiece.SentencePieceProcessor(model_file=file)
        added = "" if kind == "no_prefix" else " "
        return lambda text: processor.normalize(text).replace("▁", " ").removeprefix(added)
    return lambda text: text


def specials(path: str) -> list[str]:
    found = tokenizers.Tokenizer.from_file(f"{path}/tokenizer.json").get_added_tokens_decoder()
    return [token.content for token in found.values()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_equals_the_slow_count(made, texts, kind):
    looked_at = [*texts[:120], *ODD]
    candidate = load_candidate(made[kind], kind)
    tally = measure(candidate, Texts(looked_at))
    found = figures(
        tally,
        candidate.encoder.vocab_size,
        has_unknown=candidate.encoder.unk_id is not None,
        has_auto=candidate.auto is not None,
    )
    compared = kind in ("unigram", "bytes")
    auto = tokenizers_auto(made[kind]) if kind == "bytes" else None
    auto = AutoTokenizer.from_pretrained(made[kind]) if kind == "unigram" else auto
    assert found == slow_figures(
        candidate.encoder,
        looked_at,
        prefix=PREFIXES.get(kind, ""),
        normalise=normaliser(kind, made[kind]),
        auto=auto,
        special=specials(made[kind]) if compared else None,
    )
    assert (found["auto_tokenizer"] is not None) == compared
    assert tally.used == bits(np.isin(np.arange(candidate.encoder.vocab_size), _used(candidate.encoder, looked_at)))


def tokenizers_auto(path: str):
    """ByT5's AutoTokenizer is written in Python and reads no tokenizer.json: hold that to `tokenizers` itself."""
    tokenizer = tokenizers.Tokenizer.from_file(f"{path}/tokenizer.json")
    return lambda text, **options: {"input_ids": tokenizer.encode(text, **options).ids}


def _used(encoder, texts: list[str]) -> list[int]:
    return sorted({int(n) for ids in encoder.encode_batch(texts) for n in ids})


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_read_back_as_decode_does(made, texts, kind):
    encoder = load_encoder(made[kind])
    given_texts = [*texts[:40], *ODD]
    decoded = read_back(made[kind], encoder).decode(encoder.encode_flat(utf8(given_texts)))
    assert decoded == [encoder.decode(ids) for ids in encoder.encode_batch(given_texts)]


def test_nothing_is_lost_where_a_tokenizer_loses_nothing(made, texts):
    for kind in ("byt5", "bytes", "byte_level"):
        tally = measure(load_candidate(made[kind], kind), Texts([*texts, *ODD]))
        assert (tally.differs_from_raw, tally.differs_from_normalised) == (0, 0)
    tally = measure(load_candidate(made["unigram"], "unigram"), Texts(["La casa.", "la casa.", "la  casa.", "中"]))
    # lowercasing and spaces are the normaliser's; the unknown character alone is lost
    assert (tally.differs_from_raw, tally.differs_from_normalised) == (3, 1)


def test_a_folder_with_only_tokenizer_json_reads_back_like_the_engine(made, texts, tmp_path):
    """Its normaliser spells spaces and `<` otherwise."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes(Path(made["unigram"], name).read_bytes())
    looked_at = Texts([*texts[:60], *ODD])
    alone = measure(load_candidate(str(tmp_path), "json"), looked_at)
    beside = measure(load_candidate(made["unigram"], "both"), looked_at)
    assert [getattr(alone, name) for name in COUNTS if not name.startswith("auto")] == [
        getattr(beside, name) for name in COUNTS if not name.startswith("auto")
    ]


def test_by_hand():
    """byt5: `a bb a` is 6 ids of 3 words, one of which is longer than a byte."""
    tally = measure(load_candidate("byt5", "byt5"), Texts(["a bb a"]))
    found = figures(tally, 384, has_unknown=True, has_auto=False)
    assert (found["fertility"], found["continued_words"], found["bytes_per_token"]) == (2.0, 1, 1.0)
    assert found["tokens_per_1000_characters"] == 1000.0
    assert (found["ids_used"], found["vocabulary_use"], found["unknown_rate"]) == (3, 3 / 384, 0.0)


def test_words_are_encoded_as_after_a_space(made):
    for kind, path in made.items():
        assert word_prefix(load_encoder(path)) == PREFIXES.get(kind, ""), kind
    encoder = load_encoder(made["byte_level"])
    assert encoder.id_to_piece(int(encoder.encode_batch([" de"])[0][0])) == "Ġde"
    assert continued(encoder, Counter({"de": 5, "xqzw": 2}), " ") == 2
    assert continued(encoder, Counter(), " ") == 0


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from("中あไ་မខ𠀀가a ~\u0dff\u10c0")))
def test_scripts_without_spaces(text):
    assert count_unspaced(np.frombuffer(text.encode(), np.uint8)) == sum(map(is_unspaced, text))


@given(st.text(alphabet="ab \t\n\u00a0\x1c"), st.integers(1, 4))
def test_words_of_long_texts_are_counted_in_parts(text, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tokenizer_train.evaluation.words.MOST_SPLIT", most)
        assert count_words([text, "a b"]) == Counter([*text.split(), "a", "b"])


def test_tallies_add_up_in_any_order(made, texts):
    candidate = load_candidate(made["unigram"], "unigram")
    parts = [measure(candidate, Texts(texts[n : n + 7])) for n in range(0, 70, 7)]
    random.Random(1).shuffle(parts)
    assert Tally.sum([*parts[:3], Tally.sum(parts[3:]), Tally()]) == measure(candidate, Texts(texts[:70]))


def test_a_tokenizer_json_that_encodes_otherwise_is_found(made, texts, tmp_path):
    for name in ("spiece.model", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes(Path(made["unigram"], name).read_bytes())
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    n = next(n for n, (piece, _) in enumerate(vocabulary) if piece == "▁de")
    vocabulary[n][1] = -90.0  # never the best way any more
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    tally = measure(load_candidate(str(tmp_path), "bent"), Texts([*texts, "Literal </s>"]))
    by_the_engine = load_encoder(str(tmp_path)).encode_batch(texts)
    assert tally.auto_differs == sum(n in ids for ids in by_the_engine)
    assert 10 < tally.auto_differs < len(texts)
    assert (tally.auto_special, tally.auto_compared) == (1, len(texts))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DamagedFile, match=r"tokenizer\.json"):
        AutoForm(tmp_path / "tokenizer.json")


def test_what_is_not_compared(made, monkeypatch):
    monkeypatch.setattr("tokenizer_train.evaluation.measure.LONGEST", 30)
    tally = measure(load_candidate(made["unigram"], "u"), Texts(["corto", "largo " * 6]))
    assert (tally.auto_compared, tally.auto_too_long, tally.auto_differs) == (1, 1, 0)
    assert load_candidate(made["unigram"], "u", compare_auto=False).auto is None


@pytest.mark.parametrize(
    ("path", "languages", "found"),
    [
        ("/data/es/es-00000-of-00016.jsonl.zst", (), "es"),
        ("/data/pt-BR/part-00001.parquet", (), "pt-BR"),
        ("/data/ko/x/part.txt.gz", (), "ko"),
        ("/data/textos_de_prueba/a_la_una.txt", (), ""),
        ("c4-es.tfrecord-00000-of-01024.json.gz", (), ""),
        ("c4-es.tfrecord-00000-of-01024.json.gz", ("es", "pt"), "es"),
    ],
)
def test_languages_of_paths(path, languages, found):
    assert language_of(item_of(path), languages) == found


def item_of(path, language=None):
    return WorkItem(
        path=path, format="jsonl", compression="", start=0, end=0, first_row=0, number=0, name="x", size=0,
        language=language,
    )  # fmt: skip


def test_the_language_of_a_source_beats_that_of_a_path():
    assert language_of(item_of("/data/ko/a.jsonl", "es")) == "es"
    assert language_of(item_of("/data/ko/a.jsonl", "es"), ("pt", "es")) == "es"
    with pytest.raises(BadArgument, match="its language is es; it must be one of pt, ko"):
        language_of(item_of("/data/ko/a.jsonl", "es"), ("pt", "ko"))


def test_a_language_that_is_asked_for_must_be_there():
    with pytest.raises(BadArgument, match="none of es, pt"):
        language_of(item_of("/data/ko/a.jsonl"), ("es", "pt"))


def test_names():
    assert names_of(["a/tokenizer", "b/tokenizer", "byt5", "/x/y.model"]) == [
        "a/tokenizer",
        "b/tokenizer",
        "byt5",
        "y.model",
    ]
    with pytest.raises(BadArgument, match="given twice"):
        names_of(["a/t", "b", "a/t/"])


def test_the_plot_takes_what_there_is(tmp_path):
    """More tokenizers than colours, more languages than rows, a name that matplotlib can't write, much unknown."""
    tally = measure(load_candidate("byt5", "byt5"), Texts(["una casa", "中文"]))
    tally.unknown = 3
    by = {name: figures(tally, 384, has_unknown=True, has_auto=False) for name in [*map(str, range(9)), "한국"]}
    facts = {
        "tokenizers": [{"name": name} for name in by],
        "per": {"language": {f"l{n}": by for n in range(14)}, "source": {}},
    }
    assert draw_tokenizers(facts, tmp_path / "many.png").read_bytes()[:4] == b"\x89PNG"
    unknown = {"tokenizers": [{"name": "0"}], "per": {"language": {"unknown": by}, "source": {"b": by, "a": by}}}
    drawn = [draw_tokenizers(unknown, tmp_path / name).read_bytes() for name in ("a.png", "b.png")]
    assert drawn[0] == drawn[1]
    assert [name for name, _ in plotted_groups(unknown)] == ["a", "b"]
    assert words_mean_little(by["0"]) is False
    assert words_mean_little(figures(measure(load_candidate("byt5", "x"), Texts(["日本語です", "a b"])), 384,
                                     has_unknown=True, has_auto=False))  # fmt: skip


def test_numbers_are_never_cut_at_80_columns(capsys):
    header = ("", "tokenizer", "tokens", "fertility", "bytes/token", "tokens/1,000 chars", "continued", "unknown")
    rows = [
        ["es", "runs/first/tokenizer", "2,762,712,345", "1.234", "4.567", "234.5", "12.3%", "0.0001%"],
        ["", "a/very/long/path/that/nobody/would/like/to/read/in/a/table/of/numbers", *["999,999,999"] * 6],
    ]
    for width in (60, 80, 100, 140):
        for names in (rows[:1], rows):
            fitting_tables("Length", header, names, width=width)
            printed = capsys.readouterr().out
            assert all(number in printed for row in names for number in row[2:])
            assert all(name in printed for name in header[1:])
            assert max(map(len, printed.splitlines())) <= width
            assert printed.count("continued") == 1 + printed.count("Length, continued")


def test_given_names():
    assert names_of(["a/tokenizer", "b/tokenizer"], ["first", " second"]) == ["first", "second"]
    with pytest.raises(BadArgument, match=r"2 tokenizers and 1 names \(first\): name each once"):
        names_of(["a", "b"], ["first"])
    with pytest.raises(BadArgument, match="the name 'first' is empty or given twice"):
        names_of(["a", "b"], ["first", "first"])
