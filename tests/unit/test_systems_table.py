"""The table of docs/systems.md: its commands are those that the benchmark runs, and all of them."""

from __future__ import annotations

import shlex

import pytest

from benchmarks.systems import PAGE, SYSTEMS
from tamiz.recipes.load import load
from tests.unit.test_docs import rows

COMMANDS = [row["command"].strip("`") for row in rows(PAGE) if "loss before" in row]


def test_each_system_has_a_demo_and_a_run_on_real_text():
    demos = [f"tamiz run {system.name} --demo" for system in SYSTEMS]
    real = [
        shlex.join(["tamiz", "run", s.name, "--demo", *(p for o in s.real() for p in ("--set", o))]) for s in SYSTEMS
    ]
    assert [*demos, *real] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_its_recipe_loads(command):
    _, _, name, demo, *flags = shlex.split(command)
    assert (demo, set(flags[::2])) == ("--demo", {"--set"} if flags else set())
    recipe = load(name, demo=True, overrides=flags[1::2])
    assert bool(flags) == any("CORPORA/" in pattern for source in recipe.inputs for pattern in source.patterns)
