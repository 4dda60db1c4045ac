"""README and docs are true: their examples give what they show, their commands parse, their links resolve."""

from __future__ import annotations

import contextlib
import doctest
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from corpora.annotations.annotator import ANNOTATORS
from corpora.choices import Choices, load_extensions
from corpora.documents.formats import FORMATS
from corpora.documents.formats.fields import TIMESTAMPS, URLS
from corpora.errors import BadArgument
from corpora.rows.mixing import MIXTURES
from corpora.sampling.methods import METHODS
from corpora.tokens.objectives import OBJECTIVES
from docs.site_pages import module_page, on_page_markdown, with_blocks
from tamiz.cli import cli, spread
from tamiz.stages import STAGES
from tamiz.trainer.exports import EXPORTS
from tamiz.trainer.families import FAMILIES
from tamiz.trainer.optimizers import OPTIMIZERS
from tests import warm
from tests.command import exit_code
from tests.conftest import ROOT
from tests.outsider import EXTENDING

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
SITE_ONLY = ["index.md", "examples.md", "contributing.md", "changelog.md"]  # docs/site_pages.py makes them
EXAMPLES = sorted({*(ROOT / "examples").glob("*.py")} - {*(ROOT / "examples").glob("finetune_*.py")})

# The tables that list choices by name: page, heading of the column, registry.
LISTS = [
    ("README.md", "stage", STAGES),
    ("docs/recipes.md", "stage", STAGES),
    ("docs/recipes.md", "`format`", FORMATS),
    ("docs/sampling.md", "`--method`", METHODS),
    ("docs/shards.md", "`--objective`", OBJECTIVES),
    ("docs/mixtures.md", "`method`", MIXTURES),
    ("docs/training.md", "`family`", FAMILIES),
    ("docs/exports.md", "`--to`", EXPORTS),
    ("docs/optimizers.md", "`optimizer`", OPTIMIZERS),
]
REGISTRIES = {
    "METHODS": METHODS,
    "OBJECTIVES": OBJECTIVES,
    "FAMILIES": FAMILIES,
    "EXPORTS": EXPORTS,
    "OPTIMIZERS": OPTIMIZERS,
    "ANNOTATORS": ANNOTATORS,
    "FORMATS": FORMATS,
    "MIXTURES": MIXTURES,
    "STAGES": STAGES,
}

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(tamiz [^`\n]+)`")
_LINK = re.compile(r"(?:\]\(|src=\")([^)\"\s]+)[)\"]")
_PATH = re.compile(r"`((?:corpora|tokenizer_train|pipelines|tamiz|tests|docs|examples|benchmarks)/[\w/.-]*)`")


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for language, body in _FENCE.findall(page.read_text()) if language in languages]


@pytest.fixture(scope="module")
def after_demo(tmp_path_factory) -> Path:
    """A folder in which `make demo` has run, up to the shards."""
    folder = tmp_path_factory.mktemp("docs")
    with contextlib.chdir(folder):
        assert exit_code("run", "t5-spanish-efficient-tiny", "--demo", "--out", "demo", "--until", "shards") == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if ">>> " in page.read_text()], ids=page_id)
def test_examples_give_what_the_page_shows(page, after_demo):
    ended = run(f"from tests.unit.test_docs import run_examples; run_examples({str(page)!r})", cwd=after_demo)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def run_examples(page: str) -> None:
    """Exits with the number of examples that fail, having printed them."""
    text = "\n".join(blocks(Path(page), "python"))
    examples = doctest.DocTestParser().get_doctest(text, {}, Path(page).name, page, 0)
    sys.exit(doctest.DocTestRunner().run(examples).failed)


def run(code: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own, which finds tamiz and the modules in docs/extending."""
    environment = os.environ | variables | {"PYTHONPATH": f"{ROOT}{os.pathsep}{EXTENDING}"}
    return warm.run(["-c", code], cwd=cwd, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=page_id)
def test_scripts_run(script, after_demo):
    ended = run(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", cwd=after_demo)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


def commands(page: Path) -> list[str]:
    """The `tamiz ...` command lines of a page: in blocks, with the variables before them, and in sentences."""
    shown = "\n".join(blocks(page, "console")).replace("\\\n", " ")
    lines = [line for line in shown.splitlines() if re.match(r"([A-Z_]+=\S+ )*tamiz ", line)]
    return lines + _INLINE.findall(_FENCE.sub("", page.read_text()))


@pytest.mark.parametrize(
    ("page", "command"), [pytest.param(p, c, id=f"{page_id(p)}: {c[:60]}") for p in PAGES for c in commands(p)]
)
def test_every_command_line_parses(page, command):  # noqa: ARG001
    variables, _, _ = command.partition("tamiz ")
    if not variables:
        check(command)
        return
    added = dict(variable.split("=", 1) for variable in variables.split())
    ended = run(f"from tests.unit.test_docs import check; check({command.removeprefix(variables)!r})", ROOT, **added)
    assert ended.returncode == 0, ended.stderr


def check(command: str) -> None:
    """Raises click.UsageError for an unknown command or flag, or for a choice that isn't one.

    Loads the modules that TAMIZ_EXTENSIONS names.
    """
    load_extensions()
    parse(spread(shlex.split(command, comments=True)[1:]), cli)


def parse(arguments: list[str], command: click.Command) -> None:
    context = click.Context(command, **command.context_settings)
    if isinstance(command, click.Group):
        if arguments and not arguments[0].startswith("-"):
            _, inner, rest = command.resolve_command(context, arguments)
            assert inner is not None
            parse(rest, inner)
        return
    given, left, _ = command.make_parser(context).parse_args(arguments)
    for parameter in command.params:
        value = given.get(str(parameter.name))
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            parameter.type.convert(value, parameter, context)
    if any(each.startswith("-") for each in left):
        from pipelines.flags import check_beam_flags

        check_beam_flags(left)


@pytest.mark.parametrize("page", [page for page in PAGES if "```toml" in page.read_text()], ids=page_id)
def test_toml_is_toml(page):
    for block in blocks(page, "toml"):
        assert tomllib.loads(block)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=page_id)
def test_links_and_images_lead_somewhere(page):
    links = [link for link in _LINK.findall(_FENCE.sub("", page.read_text())) if "://" not in link]
    missing = [link for link in links if not (page.parent / link.partition("#")[0]).exists()]
    assert missing == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text().partition("nav:")[2]
    written = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES if ROOT / "docs" in page.parents]
    assert sorted(re.findall(r"[\w/-]+\.md", navigation)) == sorted([*written, *SITE_ONLY])


def test_links_of_the_site_lead_to_pages():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="guides/a.md"))
    moved = {
        "../scoring.md#modes": "../scoring.md#modes",
        "limits.md": "limits.md",
        "../../README.md#install": "../index.md#install",
        "../../benchmarks/results/2026-11-21-run-2-cores.md": "../results/2026-11-21-run-2-cores.md",
        "../../examples/beam_pipeline.py": "../examples.md",
    }
    assert {link: on_page_markdown(f"[a]({link})", page) for link in moved} == {
        link: f"[a]({address})" for link, address in moved.items()
    }


def test_the_reference_names_only_what_its_reader_finds_in_the_source():
    assert "tamiz.__version__" not in module_page(import_module("tamiz"))
    assert "\n::: corpora.perplexity.model.PerplexityModel\n" in module_page(import_module("corpora.perplexity"))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_that_are_named_exist(page):
    assert [name for name in _PATH.findall(page.read_text()) if not (ROOT / name).exists()] == []


def test_commands_that_cannot_be_are_found():
    with pytest.raises(click.UsageError, match="No such command"):
        check("tamiz sieve --input a")
    with pytest.raises(click.UsageError, match="No such option"):
        check("tamiz verify runs/mine --deep")
    with pytest.raises(click.UsageError, match="is not one of"):
        check("tamiz sample --method median")
    with pytest.raises(BadArgument, match="no such option"):
        check("tamiz score --lm a.bin --width 2")


def test_the_page_on_extending_shows_its_files():
    page = (ROOT / "docs" / "extending.md").read_text()
    shown = re.findall(r"^<!-- docs/extending/(\w+)\.py -->$", page, re.MULTILINE)
    assert shown == ["sampler", "objective", "family", "export", "optimizer", "annotator", "format", "stage"]
    assert sorted(shown) == sorted(path.stem for path in EXTENDING.glob("*.py"))
    assert with_blocks(page) == page, "run `python docs/site_pages.py`"


def test_each_file_on_extending_has_a_test_that_runs_it():
    for path in EXTENDING.glob("*.py"):
        (test,) = (ROOT / "tests" / "unit").glob(f"test_adding_a*_{path.stem}.py")
        assert f'copy_toy("{path.stem}"' in test.read_text()


def rows(page: Path) -> list[dict[str, str]]:
    """The rows of all tables of a page: heading of the column -> cell."""
    found, headings = [], None
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            headings = None
        elif headings is None:
            headings = cells
        elif set(line) - set("|- "):
            found.append(dict(zip(headings, cells, strict=True)))
    return found


def names(cells: list[str]) -> list[str]:
    return sorted(name for cell in cells for name in re.findall(r"`([^`]+)`", cell))


@pytest.mark.parametrize(("page", "heading", "registry"), LISTS, ids=[f"{page}: {name}" for page, name, _ in LISTS])
def test_tables_list_every_choice_and_no_other(page: str, heading: str, registry: Choices[object]):
    assert names([row[heading] for row in rows(ROOT / page) if heading in row]) == sorted(registry.names())


def test_the_page_on_extending_lists_every_registry_and_its_choices():
    listed = {row["registry"]: row for row in rows(ROOT / "docs" / "extending.md") if "registry" in row}
    assert listed.keys() == {f"`{name}`" for name in REGISTRIES}
    for name, registry in REGISTRIES.items():
        row = listed[f"`{name}`"]
        assert names([row["built in"]]) == sorted(registry.names())
        assert getattr(import_module(row["module"].strip("`")), name) is registry


def test_methods_have_the_flags_that_the_page_says():
    listed = {row["`--method`"].strip("`"): row for row in rows(ROOT / "docs" / "sampling.md") if "`--method`" in row}
    for name in METHODS.names():
        assert names([listed[name]["parameters"]]) == sorted(flag.name for flag in METHODS.get(name).flags)


def test_columns_are_looked_for_under_the_names_that_the_page_says():
    listed = {row["key in a recipe"]: row for row in rows(ROOT / "docs" / "documents.md") if "key in a recipe" in row}
    for key, looked_for in (("`url_column`", URLS), ("`timestamp_column`", TIMESTAMPS)):
        assert tuple(re.findall(r"`([^`]+)`", listed[key]["meaning"])) == looked_for


def test_formats_have_the_extensions_that_the_page_says():
    listed = {row["`format`"].strip("`"): row for row in rows(ROOT / "docs" / "recipes.md") if "`format`" in row}
    for format in FORMATS:
        assert names([listed[format.name]["extensions"]]) == sorted(format.extensions)


def test_the_reference_shows_docstrings_as_they_are_written():
    pytest.importorskip("griffe")
    from docs.docstrings import as_markdown

    assert as_markdown("Writes <out>/a and `<b>`.") == "Writes &lt;out>/a and `<b>`."
    assert as_markdown("One.\n\nname    of it\nsize    in <units>") == (
        "One.\n\n```text\nname    of it\nsize    in <units>\n```"
    )
    assert as_markdown("One sentence.  Another.") == "One sentence.  Another."
