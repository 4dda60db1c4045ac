"""The command line: exit codes, one-line errors, flags that are tamiz's, Beam's or nobody's."""

from __future__ import annotations

import logging

import pytest

from corpora.errors import BadArgument
from tamiz.cli import main, spread


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    return stopped.value.code, captured.out, captured.err


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scoer",), "No such command"),
        (("score", "--input", "x", "--lm", "y", "--oout", "z"), "--out"),
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
        (("run", "t5-spanish-efficient-tiny", "--until", "trian", "--demo"), "--until trian"),
    ],
)
def test_bad_arguments_exit_2_with_one_line(capsys, arguments, message):
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert message in error
    assert len(error.strip().splitlines()) <= 2
    assert "Traceback" not in error


def test_help_and_recipes(capsys):
    assert run(capsys, "--help")[0] == 0
    code, out, _ = run(capsys, "recipes")
    assert code == 0
    assert "t5-spanish-efficient-tiny" in out
    code, out, _ = run(capsys, "recipes", "show", "t5-spanish-efficient-tiny")
    assert code == 0
    assert "vocab_size = 5000    # card" in out


def test_verify_without_a_manifest(capsys, tmp_path):
    code, _, error = run(capsys, "verify", str(tmp_path))
    assert code == 1
    assert "no manifest.json" in error


def test_beam_flags_pass():
    from pipelines.runners import check_beam_flags

    assert check_beam_flags(["--flink_version=1.19", "--environment_type", "LOOPBACK"])
    with pytest.raises(BadArgument, match="unexpected argument"):
        check_beam_flags(["stray"])


def test_warnings_of_the_layers_are_said_once(capsys):
    run(capsys, "recipes")
    for _ in range(2):
        logging.getLogger("corpora.perplexity.model").warning("a slow path")
    assert capsys.readouterr().err == "warning: a slow path\n"
