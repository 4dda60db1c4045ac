"""tamiz recipes"""

from __future__ import annotations

import json

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
    """One key as TOML. A number that the recipe doesn't set is tamiz's default."""
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    comment = source or ("tamiz's default" if number else "")
    say(f"{key} = {_toml(value)}" + (f"    # {comment}" if comment else ""))


def _toml(value: object) -> str:
    """A value as TOML writes it; a table without its None values."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(entry) for entry in value)}]"
    if isinstance(value, dict):
        present = [f"{key} = {_toml(entry)}" for key, entry in value.items() if entry is not None]
        return f"{{ {', '.join(present)} }}"
    return str(value).lower() if isinstance(value, bool) else repr(value)
