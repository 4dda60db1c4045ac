"""tamiz recipes"""

from __future__ import annotations

import click

from tamiz.console import say, table


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the bundled recipes; `tamiz recipes show NAME` prints one, resolved, with sources."""
    if ctx.invoked_subcommand:
        return
    from tamiz.recipes.load import load, names, variants

    rows = [(name, load(name).title, ", ".join(variants(name))) for name in names()]
    table("Recipes", ("name", "rebuilds", "variants"), rows)


@command.command()
@click.argument("name")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, as in `tamiz run`.")
@click.option("--demo", is_flag=True, help="The recipe's small variant.")
def show(name: str, overrides: tuple[str, ...], demo: bool) -> None:
    """Print the recipe NAME, resolved: each number with its source, and the stages that run."""
    from tamiz.recipes.load import load
    from tamiz.stages import ordered

    loaded = load(name, overrides=overrides, demo=demo)
    recipe, sources = loaded.asdict(), loaded.sources
    del recipe["sources"]
    for key, value in recipe.items():
        if isinstance(value, list):
            for entry in value:
                _table(f"[[{key}]]", entry, {})
        elif isinstance(value, dict):
            _table(f"[{key}]", value, {k: sources.get(f"{key}.{k}") for k in value})
        elif value:
            _line(key, value, sources.get(key))
    say("\n# stages")
    for stage in ordered():
        if stage.runs_in(loaded):
            say(f"# {stage.name:<10} {stage.help}")


def _table(title: str, content: dict[str, object], sources: dict[str, str | None]) -> None:
    say(f"\n{title}")
    for key, value in content.items():
        _line(key, value, sources.get(key))


def _line(key: str, value: object, source: str | None) -> None:
    if value is not None:
        shown = str(value).lower() if isinstance(value, bool) else repr(value)  # as TOML has it
        say(f"{key} = {shown}" + (f"    # {source}" if source else ""))
