"""The registry that samplers, objectives, families, annotators, formats and stages share."""

from __future__ import annotations

import pytest

from corpora import choices
from corpora.choices import Choices
from corpora.config import Config
from corpora.errors import BadArgument


class Sieve(Config, frozen=True, kw_only=True, tag_field="kind"):
    width: float = 1.0


class Fine(Sieve, frozen=True, kw_only=True, tag="fine"):
    pass


class Coarse(Sieve, frozen=True, kw_only=True, tag="coarse"):
    pass


def registry() -> Choices[type[Sieve]]:
    return Choices("sieve", "kind", {"fine": f"{__name__}:Fine"})


def test_a_built_in_choice_may_register_itself_and_nothing_else_may_take_its_name():
    sieves = registry()
    assert sieves.register(Fine) is Fine
    impostor = type("Fine", (Sieve,), {"__module__": "elsewhere"}, frozen=True, kw_only=True, tag="fine")
    with pytest.raises(BadArgument, match="sieve 'fine' exists already: choose another name"):
        sieves.register(impostor)


def test_added_choices_come_after_the_built_in_ones_and_can_be_removed():
    sieves = registry()
    sieves.register(Coarse)
    assert sieves.names() == ("fine", "coarse")
    assert list(sieves) == [Fine, Coarse]
    sieves.unregister("coarse")
    assert sieves.names() == ("fine",)
    with pytest.raises(KeyError):
        sieves.unregister("fine")


def test_the_same_class_of_a_module_imported_twice_is_one_choice_and_another_is_refused():
    sieves = registry()
    sieves.register(Coarse)
    again = type("Coarse", (Sieve,), {"__qualname__": "Coarse"}, frozen=True, kw_only=True, tag="coarse")
    sieves.register(again)
    other = type("Other", (Sieve,), {}, frozen=True, kw_only=True, tag="coarse")
    with pytest.raises(BadArgument, match="'coarse' exists already"):
        sieves.register(other)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(BadArgument, match="kind is 'medium'; it must be one of fine"):
        registry().get("medium")
    with pytest.raises(BadArgument, match="kind is None; it must be one of fine"):
        registry().convert({})
    assert registry().convert({"width": 2.0}, "fine") == Fine(width=2.0)


def test_a_missing_extension_is_named_once_and_with_its_remedy(monkeypatch):
    monkeypatch.setenv(choices.VARIABLE, "no_such_module_of_mine")
    monkeypatch.setattr(choices, "_loaded", set())
    with pytest.raises(BadArgument, match=r"TAMIZ_EXTENSIONS=no_such_module_of_mine: .*put its folder on PYTHONPATH"):
        registry().names()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "can't be imported: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "can't be imported: SystemExit: 3"),
        ("x = = 1", "can't be imported: SyntaxError"),
        ("from corpora.errors import BadArgument\nraise BadArgument('method x exists already')", "method x exists"),
    ],
)
def test_an_extension_that_fails_is_named_each_time(tmp_path, monkeypatch, code, message):
    (tmp_path / "failing_extension.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(choices.VARIABLE, "failing_extension")
    monkeypatch.setattr(choices, "_loaded", set())
    for _ in range(2):
        with pytest.raises(BadArgument, match=f"TAMIZ_EXTENSIONS=failing_extension.*{message}"):
            registry().names()


def test_blanks_between_commas_name_no_extension(monkeypatch):
    monkeypatch.setenv(choices.VARIABLE, " , ,")
    monkeypatch.setattr(choices, "_loaded", set())
    assert registry().names() == ("fine",)
