"""tamiz recipes"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from tamiz.console import say, table
from tamiz.groups import Group
from tamiz.options import Named


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the bundled recipes; `tamiz recipes show NAME` prints one, resolved, with sources."""
    if ctx.invoked_subcommand:
        return
    from tamiz.recipes.bundled import base_of, has_demo, names, title_of, variants

    known = names()
    below = {name: base_of(name) for name in known}
    rows = []
    for name in _grouped(known, below):
        others = [variant for variant in variants(name) if variant != "demo"]
        shown = f"{'  ' * len(_above(name, below))}{name}"
        rows.append((shown, title_of(name), ", ".join(["demo"] * has_demo(name) + others)))
    table("Recipes", ("name", "rebuilds", "variants"), rows)
    say("A recipe that is indented is based on the one above it: it differs in its shape.")


def _above(name: str, below: Mapping[str, str | None]) -> list[str]:
    """The recipes that a recipe is based on, the nearest first."""
    base = below.get(name)
    return [] if base is None else [base, *_above(base, below)]


def _grouped(names: Sequence[str], below: Mapping[str, str | None]) -> list[str]:
    """Each recipe, followed by those that are based on it."""

    def family(name: str) -> list[str]:
        return [name, *(other for known in names if below[known] == name for other in family(known))]

    return [other for name in names if below[name] is None for other in family(name)]


@command.command(short_help="Print a recipe, resolved, as TOML.")
@click.argument("recipe", type=Named())
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, as in `tamiz run`.")
@click.option("--demo", is_flag=True, help="Show the recipe's small variant.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the recipe, its sources, claims and figures.")
def show(recipe: str, overrides: tuple[str, ...], demo: bool, as_json: bool) -> None:
    """Print RECIPE, resolved, as TOML that runs: a bundled name, a TOML file, or the folder of an earlier run.

    Comments say where each number comes from, what the card of the published system says (and whether that is
    wrong), and what follows: parameters, tokens, FLOPs. `tamiz recipes show RECIPE > mine.toml` starts a recipe of
    your own.
    """
    from tamiz.recipes.figures import figures
    from tamiz.recipes.load import load
    from tamiz.recipes.write import as_toml
    from tamiz.stages import ordered

    loaded = load(recipe, overrides=overrides, demo=demo)
    if as_json:
        found = figures(loaded)
        plain = {**loaded.asdict(), "figures": found.asdict() if found else None}
        say(json.dumps(plain, indent=1, ensure_ascii=False))
        return
    for line in as_toml(loaded):
        say(line)
    say("\n# stages")
    for stage in ordered():
        if stage.runs_in(loaded):
            say(f"# {stage.name:<10} {stage.help}")


@command.command(short_help="Print all keys of recipes.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON Schema, for editors.")
def schema(as_json: bool) -> None:
    """Print all sections and keys of recipes, with types, bounds and defaults."""
    from tamiz.recipes.describe import json_schema, page

    say(json.dumps(json_schema(), indent=1, ensure_ascii=False) if as_json else page())
