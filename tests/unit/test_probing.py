"""Scoring word ids from the tables of a probing binary: kenlm's scores, bit for bit, whatever the tables hold."""

from __future__ import annotations

import random
from pathlib import Path

import kenlm
import numpy as np
import pytest

from corpora.errors import DamagedFile
from corpora.perplexity import probing
from corpora.perplexity.lm_header import check_lm
from corpora.perplexity.ngram_kernels import BLOCK
from corpora.perplexity.probing import ProbingModel
from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from tests.invented import document, sentences

TEXTS = [document(n) for n in range(300)]
SETTINGS = {
    "order 2": LmSettings(order=2, words=True),
    "order 3, pruned": LmSettings(order=3, words=True, prune=(0, 1, 1)),
    "order 4": LmSettings(order=4, words=True),
    "order 5, pruned": LmSettings(order=5, words=True, prune=(0, 0, 1)),
    "order 6": LmSettings(order=6, words=True),
}
HAS_VOCABULARY = 100  # the flag's place in the header
WORDS = [word for sentence in sentences(400) for word in sentence]


@pytest.fixture(scope="module", params=SETTINGS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probing") / "lm.bin"
    train_lm(TEXTS, path, settings=SETTINGS[request.param])
    return path


def lines(number: int, seed: int) -> list[list[str]]:
    """Sentences as the model has seen them, broken ones, strange words, empty ones, and one of many blocks."""
    draw = random.Random(seed)
    known = [line.split() for text in TEXTS for line in text.split("\n")]
    strange = ["<unk>", "<s>", "</s>", "nunca", "日本", "\u2581"]
    made = [draw.choice(known) for _ in range(number)]
    made += [[draw.choice([*WORDS[:50], *strange]) for _ in range(draw.randint(0, 20))] for _ in range(number)]
    made += [[], ["nunca"] * 9, draw.choices(WORDS, k=5 * BLOCK), *([[]] * (BLOCK + 1))]
    draw.shuffle(made)
    return made


def scores(model: ProbingModel, made: list[list[str]]) -> list[float]:
    ids = model.word_ids([word.encode() for line in made for word in line])
    offsets = np.cumsum([0, *map(len, made)], dtype=np.int64)
    return model.score_lines(ids, offsets).tolist()


def expected(path: Path, made: list[list[str]]) -> list[float]:
    model = kenlm.Model(str(path))
    return [model.score(" ".join(line)) for line in made]


def test_scores_are_kenlms(path: Path) -> None:
    made = lines(1000, seed=1)
    assert scores(ProbingModel(path, check_lm(path)), made) == expected(path, made)


def test_a_file_without_the_words_themselves(path: Path, tmp_path: Path) -> None:
    header = check_lm(path)
    content = bytearray(path.read_bytes()[: header.layout.end])
    content[HAS_VOCABULARY] = 0
    (tmp_path / "lm.bin").write_bytes(content)
    header, made = check_lm(tmp_path / "lm.bin"), lines(100, seed=2)
    assert not header.has_vocabulary
    assert scores(ProbingModel(tmp_path / "lm.bin", header), made) == expected(path, made)


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes_in_the_tables_score_as_kenlm_scores_them(path: Path, tmp_path: Path, seed: int) -> None:
    """Probabilities, back-offs and keys at random: contexts that no consistent model has."""
    header, draw = check_lm(path), np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    for table in (header.layout.unigrams, *header.layout.ngrams):
        cells = np.frombuffer(content, table.entry, table.cells, table.offset)
        for name in cells.dtype.names:
            hit = draw.random(table.cells) < (0.02 if name == "key" else 0.2)
            cells[name][hit] = draw.choice([0.0, -0.0, -1.5, 0.25], np.count_nonzero(hit)) if name != "key" else 1
    (tmp_path / "lm.bin").write_bytes(content)
    made = lines(300, seed)
    found = scores(ProbingModel(tmp_path / "lm.bin", check_lm(tmp_path / "lm.bin")), made)
    assert found == expected(tmp_path / "lm.bin", made)


@pytest.mark.parametrize("free", [0, 1])
def test_tables_that_are_too_full_are_told(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    monkeypatch.setattr(probing, "_LONGEST_WALK", 1)
    content = bytearray(path.read_bytes())
    table = check_lm(path).layout.ngrams[0]
    cells = np.frombuffer(content, table.entry, table.cells, table.offset)
    cells["key"][np.flatnonzero(cells["key"] == 0)[free:]] = 1
    (tmp_path / "lm.bin").write_bytes(content)
    model = ProbingModel(tmp_path / "lm.bin", check_lm(tmp_path / "lm.bin"))
    with pytest.raises(DamagedFile, match="more entries than the header says"):
        model.score_lines(model.word_ids([word.encode() for word in WORDS[::-1]]), np.array([0, len(WORDS)]))


def test_ids_that_no_word_has_are_never_given(path: Path, tmp_path: Path) -> None:
    """The file may be changed after it was checked."""
    header = check_lm(path)
    content = bytearray(path.read_bytes())
    table = header.layout.vocabulary
    np.frombuffer(content, table.entry, table.cells, table.offset)["word"][:] = 0xFFFFFFFF
    (tmp_path / "lm.bin").write_bytes(content)
    assert not ProbingModel(tmp_path / "lm.bin", header).word_ids([word.encode() for word in WORDS]).any()


def test_a_flipped_byte_anywhere_is_refused_or_scored(path: Path, tmp_path: Path) -> None:
    made, draw, content = lines(5, seed=3), random.Random(4), path.read_bytes()
    for _ in range(150):
        place = draw.choice([draw.randrange(len(content)), draw.randrange(200)])
        damaged = bytearray(content)
        damaged[place] ^= 1 << draw.randrange(8)
        (tmp_path / "lm.bin").write_bytes(damaged)
        try:
            header = check_lm(tmp_path / "lm.bin")
        except DamagedFile:
            continue
        if header.type == "probing":
            assert len(scores(ProbingModel(tmp_path / "lm.bin", header), made)) == len(made)


def test_word_ids_are_kenlms(path: Path) -> None:
    model, theirs = ProbingModel(path, check_lm(path)), kenlm.Model(str(path))
    words = [*dict.fromkeys(WORDS), "", "nunca", "<s>", "</s>", "<unk>", "ba" * 100]
    ids = model.word_ids([word.encode() for word in words])
    assert (ids > 0).tolist() == [word in theirs for word in words]
    assert len(set(ids[ids > 0].tolist())) == np.count_nonzero(ids)
    assert model.word_ids([]).shape == (0,)
