"""tamiz recipes"""

from __future__ import annotations

import json

import click

from tamiz.console import say, table
from tamiz.groups import Group


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the bundled recipes; `tamiz recipes show NAME` prints one, resolved, with sources."""
    if ctx.invoked_subcommand:
        return
    from tamiz.recipes.load import load, names, variants

    rows = [(name, load(name).title, ", ".join(variants(name))) for name in names()]
    table("Recipes", ("name", "rebuilds", "variants"), rows)


@command.command(short_help="Print a recipe, resolved, as TOML.")
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, as in `tamiz run`.")
@click.option("--demo", is_flag=True, help="Show the recipe's small variant.")
def show(recipe: str, overrides: tuple[str, ...], demo: bool) -> None:
    """Print RECIPE, resolved, as TOML that runs: a bundled name, a TOML file, or the folder of an earlier run.

    Each number has its source in a comment. `tamiz recipes show RECIPE > mine.toml` starts a recipe of your own.
    """
    from tamiz.recipes.load import load
    from tamiz.recipes.write import as_toml
    from tamiz.stages import ordered

    loaded = load(recipe, overrides=overrides, demo=demo)
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
