"""Options that derive from a registry, on a small registry of settings that share flags."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner

from corpora.choices import Choices, Flag
from corpora.config import Config
from corpora.errors import BadArgument
from tamiz.choice_options import choice_flags, choice_option, chosen

SIZE = Flag("--grain-size", "grain_size", "Millimetres. [default: 2]", float, metavar="MM")


def pair(text: str) -> list[int]:
    try:
        low, high = (int(part) for part in text.split(","))
    except ValueError:
        raise ValueError("it must be two whole numbers, A,B") from None
    return [low, high]


class Mill(Config, frozen=True, kw_only=True, tag_field="mill", tag="mill"):
    seed: int = 0


class Stone(Mill, frozen=True, kw_only=True, tag="stone"):
    """Grinds slowly.

    And well.
    """

    grain_size: float = 2.0
    gap: tuple[int, int] | None = None
    wet: bool | None = None
    flags = (
        SIZE,
        Flag("--gap", "gap", "Between the stones.", parse=pair),
        Flag("--wet", "wet", "With water.", bool),
        Flag("--speed", "seed", "Turns a minute.", int),
    )

    def __post_init__(self) -> None:
        if not self.grain_size > 0:
            raise ValueError(f"grain_size is {self.grain_size}; it must be above 0")


class Roller(Mill, frozen=True, kw_only=True, tag="roller"):
    """Rolls."""

    grain_size: float = 2.0
    rolls: int
    flags = (SIZE, Flag("--number", "rolls", "Rolls.", int), Flag("--speed", "seed", "Metres a second.", int))


class Sieve(Mill, frozen=True, kw_only=True, tag="sieve"):
    pass


def mills(*kinds: type[Mill]) -> Choices[type[Mill]]:
    choices: Choices[type[Mill]] = Choices("mill", "mill", {})
    for kind in kinds or (Stone, Roller, Sieve):
        choices.register(kind)
    return choices


def command(choices: Choices[type[Mill]], **defaults: Any) -> click.Command:
    @click.command()
    @choice_option(choices, "--mill", **defaults)
    @choice_flags(choices)
    @click.option("--seed", type=int)
    def grind(mill: str, seed: int | None, **flags: Any) -> None:
        click.echo(repr(chosen(choices, mill, flags, {"seed": seed})))

    return grind


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command(mills()), arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output.strip()


def test_settings_are_made_of_flags_and_common_keys():
    assert run("--mill", "stone") == repr(Stone())
    given = ("--grain-size", "3", "--gap", "1,2", "--no-wet", "--seed", "7")
    assert run("--mill", "stone", *given) == repr(Stone(grain_size=3.0, gap=(1, 2), wet=False, seed=7))
    assert run("--mill", "roller", "--number", "4", "--grain-size", "1") == repr(Roller(rolls=4, grain_size=1.0))
    assert run("--mill", "stone", "--speed", "4") == repr(Stone(seed=4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("roller", "--gap", "1,2"), "--gap 1,2 is for stone, not roller: leave it out"),
        (("sieve", "--grain-size", "2"), "--grain-size 2.0 is for roller and stone, not sieve: leave it out"),
        (("roller", "--no-wet"), "--no-wet is for stone, not roller: leave it out"),
        (("roller", "--wet"), "--wet is for stone, not roller: leave it out"),
        (("sieve", "--gap", "1"), "--gap '1': it must be two whole numbers, A,B"),
        (("stone", "--gap", "1"), "--gap '1': it must be two whole numbers, A,B"),
        (("stone", "--grain-size", "-1"), "grain-size is -1.0; it must be above 0"),
        (("roller",), "--number is missing: mill roller needs it"),
    ],
)
def test_errors_name_the_flag_the_value_and_the_choice(arguments: tuple[str, ...], message: str):
    with pytest.raises(BadArgument) as caught:
        run("--mill", *arguments)
    assert str(caught.value) == message


def test_a_value_of_the_wrong_type_is_named_by_its_flag():
    with pytest.raises(BadArgument, match=r"^--number: Expected `int`, got `str`$"):
        chosen(mills(Choosy), "choosy", {"number": "x"}, {})
    with pytest.raises(BadArgument, match=r"^--seed: Expected `int`, got `str`$"):
        chosen(mills(), "sieve", {}, {"seed": "x"})
    with pytest.raises(BadArgument, match="mill is 'wind'; it must be one of roller, sieve, stone"):
        chosen(mills(), "wind", {}, {})


class Choosy(Mill, frozen=True, kw_only=True, tag="choosy"):
    rolls: int = 1
    flags = (Flag("--number", "rolls", "Rolls.", parse=str),)


def test_help_lists_each_flag_once_with_the_choices_that_own_it():
    text = " ".join(CliRunner().invoke(command(mills(), default="stone"), ["--help"]).output.split())
    assert "--mill [roller|sieve|stone]" in text
    assert "roller: Rolls; stone: Grinds slowly. [default: stone]" in text
    assert text.count("--grain-size") == 1
    assert "--grain-size MM roller, stone: Millimetres. [default: 2]" in text
    assert "--wet / --no-wet stone: With water." in text
    assert "--speed INTEGER roller: Metres a second. stone: Turns a minute." in text


def test_a_flag_that_all_choices_have_names_none():
    text = " ".join(CliRunner().invoke(command(mills(Stone)), ["--help"]).output.split())
    assert "--wet / --no-wet With water." in text
    assert "[required]" in text


class Wet(Mill, frozen=True, kw_only=True, tag="wet"):
    litres: float = 1.0
    flags = (Flag("--wet", "litres", "Litres.", float),)


class Seedy(Mill, frozen=True, kw_only=True, tag="seedy"):
    flags = (Flag("--seed", "seed", "Of the corn.", int),)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ((Stone, Wet), "--wet is a yes/no flag in one mill of stone and wet only: rename one"),
        ((Seedy,), "--seed of the mill seedy is already an option: rename it"),
    ],
)
def test_flags_that_collide_are_refused(kinds: tuple[type[Mill], ...], message: str):
    with pytest.raises(BadArgument, match=message):
        command(mills(*kinds))


class Numbered(Mill, frozen=True, kw_only=True, tag="numbered"):
    name: str = ""
    flags = (Flag("--number", "name", "A name."),)


def test_one_flag_may_take_a_number_here_and_a_text_there():
    choices = mills(Roller, Numbered)
    assert chosen(choices, "roller", {"number": "4"}, {}) == Roller(rolls=4)
    assert chosen(choices, "numbered", {"number": "4"}, {}) == Numbered(name="4")
    with pytest.raises(BadArgument, match=r"^--number 'x': invalid literal for int"):
        chosen(choices, "roller", {"number": "x"}, {})


def test_neither_torch_nor_beam_is_imported():
    code = "import sys, tamiz.choice_options; print({'torch', 'apache_beam', 'pyarrow', 'numba'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
