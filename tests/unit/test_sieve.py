"""benchmarks.sieve: its figures against numbers computed by hand, its refusals, and all of it in miniature."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import sieve
from benchmarks.sieve_corpus import clean_draw, make_corpus, read, write
from benchmarks.sieve_figures import Arm, differences, markdown, reached, spread, steps_saved
from benchmarks.sieve_noise import CLEAN, SHARES, Document
from benchmarks.sieve_sizes import CLEAN_ONLY, SAMPLERS, SIZES
from corpora.errors import BadArgument
from corpora.sampling.methods import METHODS
from tamiz.choice_options import chosen
from tamiz.cli import cli
from tamiz.cli import spread as spread_out
from tests.command import exit_code
from tests.conftest import ROOT
from tests.invented import document

SIZE = replace(SIZES["tiny"], documents=150, lm_pieces=150, vocab_size=200)
ARM = Arm("random", 0, {CLEAN: 2, "keywords": 1}, {CLEAN: 300, "keywords": 100}, 1000, 2000, 10, 64,
          [(0, 8.0), (10, 6.0), (20, 5.0)])  # fmt: skip


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    """Invented documents in place of the corpora: three Spanish files, one of each other language."""
    folder = tmp_path_factory.mktemp("corpora")
    for start, name in enumerate(["es/a", "es/b", "es/c", "pt/a", "en/a", "ko/a", "ja/a", "zh/a"]):
        made = [
            Document(document(n), f"https://example.org/{n}", "2019") for n in range(150 * start, 150 * start + 150)
        ]
        write(folder / f"{name}.jsonl.zst", made)
    return folder


@pytest.fixture(scope="module")
def corpus(corpora, tmp_path_factory):
    return make_corpus(corpora, tmp_path_factory.mktemp("corpus"), SIZE)


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_equal_corpora_have_equal_bytes(corpora, corpus, tmp_path):
    make_corpus(corpora, tmp_path, SIZE)
    assert digests(tmp_path) == digests(corpus.folder)
    assert make_corpus(corpora, tmp_path, SIZE).counts == corpus.counts


def test_every_document_is_in_one_part_only(corpus):
    pool = [one for path in corpus.folder.glob("pool/*") for one in read(path)]
    assert len(pool) + corpus.left_out == 150
    assert corpus.counts == {k: sum(one.kind == k for one in pool) for k in {one.kind for one in pool}}
    parts = [{one.text for one in read(path)} for path in (corpus.held_out_file, corpus.lm_file)]
    assert (len(parts[0]), len(parts[1])) == (corpus.held_out, corpus.lm)
    assert min(corpus.held_out, corpus.lm, corpus.left_out) > 0
    clean = {one.text for one in pool if one.kind == CLEAN}
    assert not parts[0] & parts[1]
    assert not clean & (parts[0] | parts[1])


def test_a_clean_draw_has_its_share_and_no_noise(corpus):
    whole = list(clean_draw(corpus, 1.0, 0))
    assert len(whole) == corpus.counts[CLEAN]
    some = list(clean_draw(corpus, 0.5, 3))
    assert set(some) < set(whole)
    assert some != list(clean_draw(corpus, 0.5, 4))


def test_a_corpus_of_too_few_files_is_refused(corpora, tmp_path):
    with pytest.raises(BadArgument, match=r"es has 3 files: size tiny needs 4"):
        make_corpus(corpora, tmp_path, replace(SIZE, pool_files=2))
    with pytest.raises(BadArgument, match="name the folder of languages with --corpora"):
        make_corpus(tmp_path, tmp_path / "made", SIZE)


def test_a_folder_of_another_size_is_refused(tmp_path):
    sieve.check_same(tmp_path, SIZE)
    sieve.check_same(tmp_path, SIZE)
    with pytest.raises(BadArgument, match=r"its steps is 4, not 5: choose another --out"):
        sieve.check_same(tmp_path, replace(SIZE, steps=5))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--out"),
        (["--out", "x", "--jobs", "0"], "--jobs is 0; it must be at least 1"),
        (["--out", "x", "--size", "huge"], "invalid choice: 'huge'"),
    ],
)
def test_bad_arguments(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        sieve.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_missing_corpus_is_one_line(tmp_path):
    with pytest.raises(SystemExit) as ended:
        sieve.main(["--tiny", "--out", str(tmp_path / "out"), "--corpora", str(tmp_path)])
    assert str(ended.value.code).startswith("error: no *.jsonl.zst in")


def test_where_a_curve_reaches_a_loss():
    curve = [(0, 8.0), (10, 6.0), (20, 7.0), (30, 5.0)]
    assert reached(curve, 7.0) == 5.0  # halfway from 8 to 6
    assert reached(curve, 5.5) == 27.5
    assert reached(curve, 6.0) == 10.0
    assert reached(curve, 4.9) is None


def test_figures_by_hand():
    better = replace(ARM, name="head", curve=[(0, 8.0), (10, 5.0), (20, 4.5)])
    worse = replace(ARM, name="head", seed=1, curve=[(0, 8.0), (10, 7.0), (20, 6.5)])
    base = [ARM, replace(ARM, seed=1)]
    assert ARM.noise == 0.25
    assert differences([better, worse], base) == [-0.5, 1.5]
    assert steps_saved([better, worse], base) == [0.5]  # at step 10 of 20; the other never reaches 5
    assert spread([1.0, 3.0], 1) == "2.0 (1.0 to 3.0)"
    assert spread([-0.5], 2, "+") == "-0.50"


def test_the_table_has_a_row_for_each_sample(corpus):
    arms = [ARM, replace(ARM, name="head", curve=[(0, 8.0), (20, 4.5)]), replace(ARM, seed=1)]
    text = markdown(SIZE, corpus, arms)
    assert "| random | 5.0000 (5.0000 to 5.0000) |  |  | 25.0% | 0.00 | 0.50 |" in text
    assert "| head | 4.5000 | -0.5000 | 14% | 25.0% | 0.00 | 0.50 |" in text  # 8 to 5 of 3.5 nats: 17.1 of 20 steps
    clean, keywords = 2 / corpus.counts[CLEAN], 1 / corpus.counts["keywords"]
    assert f"| random | {clean:.1%} | " in text
    assert f" {keywords:.1%} |" in text


def test_the_page_says_what_the_sizes_are():
    page = (ROOT / "docs" / "sieve.md").read_text()
    size = SIZES["cpu"]
    for kind, share in SHARES.items():
        assert f"| {kind} | {share:.0%} |" in page
    for name, flags in SAMPLERS.items():
        assert f"| {name} | `{' '.join(flags)}`" in page
    assert (
        f"{size.steps} steps of {size.batch_size} rows: {size.steps * size.batch_size * size.sequence_length:,} ids"
        in page
    )
    assert f"{size.vocab_size:,} pieces, from the language model's text" in page
    assert f"over {size.lm_pieces:,} pieces" in page
    assert f"rows of {size.sequence_length} ids" in page
    assert (size.keep, size.seeds, size.pool_files, size.lm_files, size.held_out_files) == (0.125, 3, 6, 2, 2)


def test_write_replaces_what_is_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n\n{sieve.BEGIN}\n\nold\n\n{sieve.END}\n\nbelow\n")
    (tmp_path / "sieve.md").write_text("new\n")
    (tmp_path / "sieve.png").write_bytes(b"png")
    for _ in range(2):
        sieve.write_page(tmp_path, page)
        assert re.fullmatch(r"above\n\n<!--.*-->\n\nnew\n\n<img .*>\n\n<!--.*-->\n\nbelow\n", page.read_text())
    assert (tmp_path / sieve.IMAGE).read_bytes() == b"png"


def in_this_process(series):
    for arguments in series:
        assert exit_code(*arguments) == 0, arguments


@pytest.mark.slow
def test_the_whole_of_it(corpora, tmp_path):
    """Each sample is another one, the held-out rows are the same ones, and what is done isn't done again."""
    names = ("random", "gaussian 2/9", CLEAN_ONLY)
    found = sieve.Sieve(corpora, tmp_path, SIZE, in_this_process, names=names).run(jobs=1)
    assert [arm.name for arm in found] == list(names)
    assert all(sum(arm.documents.values()) > 0 and [step for step, _ in arm.curve] == [0, 2, 4] for arm in found)
    by_name = {arm.name: arm for arm in found}
    assert by_name[CLEAN_ONLY].noise == 0.0
    assert by_name["random"].noise > 0.0
    held_out = [digests(path) for path in tmp_path.glob("arms/*/shards/validation")]
    assert len(held_out) == 3
    assert all(one == held_out[0] for one in held_out)
    assert len({arm.last for arm in found}) > 1
    assert len({arm.curve[0][1] for arm in found}) == 1  # the same first weights on the same rows
    plain = json.loads((tmp_path / "sieve.json").read_bytes())
    assert [arm["name"] for arm in plain["arms"]] == [arm.name for arm in found]
    assert (tmp_path / "sieve.png").read_bytes().startswith(b"\x89PNG")

    def only_shared(series):
        assert series[0][0] == "lm"
        in_this_process(series)

    assert sieve.Sieve(corpora, tmp_path, SIZE, only_shared, names=names).run(jobs=1) == found


MEANT = {
    "random": ("random", {}),
    "gaussian 9/2": ("gaussian", {"width": 4.5}),
    "gaussian 2/9": ("gaussian", {"width": 2 / 9}),
    "stepwise": ("stepwise", {}),
    "head": ("buckets", {"keep_buckets": ("head",)}),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_have_flags_that_tamiz_takes(name):
    """As the command line reads them."""
    given = ["--input", "x.jsonl", "--scores", "y", *SAMPLERS[name], "--keep", "0.125", "--out", "z"]
    values = cli.get_command(None, "sample").make_context("sample", spread_out(given)).params
    method, meant = MEANT[name]
    assert values["method"] == method
    given = {flag.field: values[flag.field] for kind in METHODS for flag in kind.flags}
    settings = chosen(METHODS, method, given, {"keep": 0.125})
    assert {key: getattr(settings, key) for key in meant} == meant
    assert [key for key, value in given.items() if value is not None] == list(meant)
