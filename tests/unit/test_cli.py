"""The command line: exit codes, one-line errors, flags that are tamiz's, Beam's or nobody's."""

from __future__ import annotations

import logging
import subprocess
import sys

import click
import pytest

from corpora.errors import BadArgument, TamizError
from tamiz.cli import SPREAD, cli, spread
from tests.command import tamiz
from tests.conftest import ROOT


def test_options_that_take_several_values():
    assert spread(["score", "--input", "a", "b", "--lm", "c"]) == [
        "score",
        "--input",
        "a",
        "--input",
        "b",
        "--lm",
        "c",
    ]
    assert spread(["eval", "x", "--out", "a", "b"]) == ["eval", "x", "--out", "a", "b"]


def options(command, context):
    """All options of a command and those below it."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from options(command.get_command(context, name), context)
    yield from (option for option in command.params if isinstance(option, click.Option))


def test_options_whose_help_shows_several_values_take_them():
    shown = {o.opts[0] for o in options(cli, click.Context(cli)) if (o.metavar or "").endswith("...")}
    assert shown == set(SPREAD)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scoer",), "No such command 'scoer'; did you mean `tamiz score`?"),
        (("tokenise",), "did you mean `tamiz tokenizer`?"),
        (("help",), "did you mean `tamiz --help`?"),
        (("version",), "did you mean `tamiz --version`?"),
        (("lm", "trian"), "No such command 'trian'; did you mean `tamiz lm train`?"),
        (("xyz",), "the commands are run, recipes, plan, lm"),
        (("run",), "name a recipe, a .toml file or the folder of an earlier run"),
        (("run", "--out", "/nowhere/x"), "name a recipe"),
        (("run", "t5-spanish-efficient-tiny", "--out", __file__), "is a file: name a folder"),
        (
            ("score", "--input", "x", "--lm", "y", "--out", __file__, "--format", "txt"),
            "is a file: name a folder",
        ),
        (("run", "t5-spanish-efficient-tiny", "--out", ""), "--out is empty: name a folder"),
        (("lm", "train", "--input", "x", "--out", ""), "--out is empty: name a file"),
        (
            ("score", "--input", "x", "--lm", "/tmp", "--out", "z", "--format", "txt"),
            "/tmp is a folder: name the",
        ),
        (("tokenizer", "train", "--input", "x", "--out", "y"), "Choose from: unigram, bpe, bytes"),
        (("score", "--input", "x", "--lm", "y", "--oout", "z"), "no such option: --oout; did you mean --out?"),
        (("sample", "--inptu", "x"), "no such option: --inptu; did you mean --input?"),
        (("sample", "--inptu=x", "--xyz"), "no such option: --inptu; did you mean --input?"),
        (("sample", "--xyz"), "Missing option '--input'"),
        (("sample", "--input", "x", "--scores", "y", "--kepe", "1", "--out", "z"), "did you mean --keep?"),
        (("score", "--input", "x", "--lm", "y", "--out", "z", "--worker", "2"), "did you mean --workers"),
        (
            ("score", "--input", "x", "--lm", "y", "--out", "z", "--flink_masterr=[local]"),
            "did you mean --flink_master",
        ),
        (("score", "--input", "x", "--lm", "y", "--out", "z", "--workers", "0"), "0 is not in the range"),
        (("sample", "--input", "x", "--scores", "y", "--out", "z", "--keep", "2"), "keep is 2"),
        (("sample", "--input", "x", "--scores", "y", "--out", "z", "--boundaries", "1,2"), "three numbers"),
        (
            ("sample", "--input", "x", "--scores", "y", "--out", "z", "--keep", ".5", "--factor", "1"),
            "exclude each other",
        ),
        (("lm", "train", "--input", "x", "--out", "m.bin", "--order", "1"), "order is 1"),
        (("lm", "train", "--input", "x", "--out", "m.bin", "--words", "--mode", "lines"), "excludes --mode"),
        (("lm", "train", "--input", "/nowhere/*.jsonl", "--out", "/tmp/never.bin"), "no file matches"),
        (("run", "t5-spanish"), "no recipe"),
        (("run", "mine.toml"), "mine.toml: there is no such file; `tamiz recipes` lists the bundled recipes"),
        (("run", "my/t5-spanish-efficient-tiny.toml"), "did you mean t5-spanish-efficient-tiny, the bundled recipe?"),
        (("run", "xyz"), "`tamiz recipes` lists them"),
        (
            ("run", "t5-spanish-efficient-tiny", "--set", "train.steps=2", "train.seed=3"),
            "such as --set train.seed=3",
        ),
        (("run", "t5-spanish-efficient-tiny", "--until", "trian", "--demo"), "--until trian"),
    ],
)
def test_bad_arguments_exit_2_with_one_line(capsys, arguments, message):
    code, _, error = tamiz(capsys, *arguments)
    assert code == 2
    assert message in error
    assert len(error.strip().splitlines()) <= 2
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "arguments",
    [
        ("score", "--input", "none/*.jsonl", "--lm", "y.bin", "--out", "z"),
        ("sample", "--input", __file__, "--input-format", "txt", "--scores", "none", "--out", "z"),
        ("shards", "build", "--input", "none", "--tokenizer", "byt5", "--sequence-length", "9", "--out", "z"),
        ("tokenizer", "eval", "byt5", "--input", "none"),
        ("run", "t5-spanish-efficient-tiny", "--set", "documents.input=none", "--set", "lm.input=none"),
    ],
)
def test_a_wrong_path_is_told_without_loading_beam(arguments):
    program = f"""
import sys
from tamiz.cli import main
try:
    main({list(arguments)!r})
except SystemExit as end:
    assert end.code in (1, 2), end.code
loaded = {{"apache_beam", "torch", "transformers"}} & sys.modules.keys()
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr


def test_several_lines_of_a_foreign_error_are_joined(capsys, monkeypatch):
    def fail(_):
        raise ValueError("Pipeline has validations errors:\n\n  Missing option: project.\nMissing: region.\nfourth")

    monkeypatch.setattr("tamiz.cli._invoke", fail)
    assert tamiz(capsys, "recipes")[2] == (
        "error: ValueError: Pipeline has validations errors: Missing option: project. Missing: region. "
        "(--debug shows all)\n"
    )


def test_a_reader_that_stops_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m tamiz recipes schema | head -1", shell=True, capture_output=True, text=True, cwd=ROOT
    )
    assert (done.stdout, done.stderr) == ("# Recipe schema\n", "")


def test_help_and_recipes(capsys):
    assert tamiz(capsys, "--help")[0] == 0
    code, out, _ = tamiz(capsys, "recipes")
    assert code == 0
    assert "t5-spanish-efficient-tiny" in out
    code, out, _ = tamiz(capsys, "recipes", "show", "t5-spanish-efficient-tiny")
    assert code == 0
    assert "vocab_size = 5000    # card" in out


def test_verify_without_a_manifest(capsys, tmp_path):
    code, _, error = tamiz(capsys, "verify", str(tmp_path))
    assert code == 1
    assert "no manifest.json" in error


def test_beam_flags_pass():
    from pipelines.flags import check_beam_flags

    assert check_beam_flags(["--flink_version=1.19", "--environment_type", "LOOPBACK"])
    with pytest.raises(
        BadArgument, match=r"^argument --flink_version: invalid choice: '1.18' \(choose from '1.19', "
    ):
        check_beam_flags(["--flink_version=1.18"])
    with pytest.raises(BadArgument, match=r"unexpected argument 'stray'$"):
        check_beam_flags(["stray"])


def test_warnings_of_the_layers_are_said_once(capsys):
    tamiz(capsys, "recipes")
    for _ in range(2):
        logging.getLogger("corpora.perplexity.model").warning("a slow path")
    assert capsys.readouterr().err == "warning: a slow path\n"


def test_an_error_brings_its_exit_code(capsys, monkeypatch):
    class Interrupted(TamizError):
        """Of a later version, or an extension's."""

        exit_code = 3

    def fail(_):
        raise Interrupted("not today")

    monkeypatch.setattr("tamiz.cli._invoke", fail)
    assert tamiz(capsys, "recipes")[::2] == (3, "error: not today\n")


def test_debug_shows_beams_messages_and_timings(capsys, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "uno dos"}\n' * 20)
    kind = ("--kind", "bpe", "--vocab-size", "277", "--max-rejected", "0.5")
    arguments = ("tokenizer", "train", "--input", str(tmp_path / "*"), *kind, "--out", str(tmp_path / "out"))
    beam = logging.getLogger("apache_beam")
    for debug, level in ((("--debug",), logging.NOTSET), ((), logging.CRITICAL)):
        beam.setLevel(logging.NOTSET)
        assert tamiz(capsys, *arguments, "--rebuild", *debug)[0] == 0
        assert beam.level == level
    assert tamiz(capsys, "recipes", "--debug")[2].startswith("debug: ")


def test_generate_without_a_text_and_without_standard_input(capsys, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    monkeypatch.setattr("sys.stdin", None)
    code, _, error = tamiz(capsys, "generate", str(tmp_path))
    assert (code, error.count("\n")) == (2, 1)
    assert "there is no TEXT, and standard input is closed" in error
