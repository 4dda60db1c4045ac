"""tamiz recipes"""

from __future__ import annotations

import click

from tamiz.console import say, table


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """The bundled recipes; `tamiz recipes show NAME` prints one, resolved, with sources."""
    if ctx.invoked_subcommand:
        return
    from tamiz.recipes.load import load, names

    rows = [(name, recipe.title) for name, recipe in ((n, load(n)) for n in names())]
    table("Recipes", ("name", "what it rebuilds"), rows)


@command.command()
@click.argument("name")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, as in `tamiz run`.")
@click.option("--demo", is_flag=True, help="The recipe's small variant.")
def show(name: str, overrides: tuple[str, ...], demo: bool) -> None:
    """Print the recipe NAME, resolved, each number with its source."""
    from tamiz.recipes.load import load

    loaded = load(name, overrides=overrides, demo=demo)
    recipe, sources = loaded.asdict(), loaded.sources
    del recipe["sources"]
    for key, value in recipe.items():
        if isinstance(value, dict):
            say(f"\n[{key}]")
            for inner, content in value.items():
                _line(inner, content, sources.get(f"{key}.{inner}"))
        else:
            _line(key, value, sources.get(key))


def _line(key: str, value: object, source: str | None) -> None:
    if value is not None:
        say(f"{key} = {value!r}" + (f"    # {source}" if source else ""))
