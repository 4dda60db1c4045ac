"""What the site needs besides docs/*.md: pages made of files elsewhere, and a reference of the public names.

mkdocs calls `on_config`, `on_files` and `on_page_markdown`. Run as a program, this file copies files into the blocks
of pages that show them (SHOWING), and writes docs/recipe-schema.md from the settings classes.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import posixpath
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("corpora", "tokenizer_train", "pipelines", "tamiz")
# in the reference whole, besides the packages that say what they export and what the files of docs/extending import
MODULES = (
    "corpora.errors",
    "corpora.tokens.causal",
    "corpora.tokens.span_corruption",
    "tokenizer_train.train",
)
# a path in the repository -> its page; everything below docs/ is a page already
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples": "examples.md",
    "benchmarks": "results/index.md",
    "benchmarks/results": "results/index.md",
}
_LINK = re.compile(r"(\]\(|src=\")([^)\"#:\s]+)(#[^)\s]*)?(\)|\")")
# the pages with lines `<!-- docs/FILE -->`, below each of which that file is shown
SHOWING = ("docs/extending.md", "docs/anywhere/flink.md", "docs/anywhere/job-arrays.md")
_SHOWN = re.compile(r"^(<!-- (docs/[\w/.-]+) -->\n)(?:\n```\w+\n.*?^```\n)?", re.MULTILINE | re.DOTALL)
_LANGUAGES = {".py": "python", ".sh": "bash", "": "dockerfile"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the reference and the measurements to the navigation."""
    reference = ["reference/index.md", *(f"reference/{name}.md" for name in public_modules())]
    config.nav = [*(config.nav or []), {"Measurements": list(_results())}, {"Reference": reference}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages."""
    from mkdocs.structure.files import File

    pages = {MOVED[name]: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")}
    pages |= {"examples.md": _examples(), **_results(), **_reference()}
    for address, text in pages.items():
        files.append(File.generated(config, address, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links between files of the repository into links between pages."""
    here = page.file.src_uri
    source = next((name for name, address in MOVED.items() if address == here), f"docs/{here}")
    if here.startswith(("results/", "reference/")):
        return markdown

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        address = MOVED.get(target, target.removeprefix("docs/"))
        if target.startswith("examples/"):
            address = MOVED["examples"]
        if target.startswith("benchmarks/results/"):
            address = target.removeprefix("benchmarks/")
        return f"{link[1]}{posixpath.relpath(address, posixpath.dirname(here) or '.')}{link[3] or ''}{link[4]}"

    return _LINK.sub(moved, markdown)


def _examples() -> str:
    scripts = sorted((ROOT / "examples").glob("*.py"))
    shown = [f"## {path.name}\n\n```python\n{path.read_text()}```\n" for path in scripts]
    return "\n".join(["# Examples\n\nRun them where `make demo` ran.\n", *shown])


def _results() -> dict[str, str]:
    reports = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    index = "\n".join(f"* [{path.stem}]({path.name})" for path in reports)
    return {
        "results/index.md": f"# Measurements\n\nDate, hardware and command are in each report.\n\n{index}\n",
        **{f"results/{path.name}": path.read_text() for path in reports},
    }


def _reference() -> dict[str, str]:
    """A page for each package that exports names, and for each module that says what an addition is built on."""
    modules = [importlib.import_module(name) for name in public_modules()]
    index = "\n".join(f"* [{m.__name__}]({m.__name__}.md): {(m.__doc__ or '').splitlines()[0]}" for m in modules)
    pages = {f"reference/{m.__name__}.md": module_page(m) for m in modules}
    return {"reference/index.md": f"# Reference\n\nThe public names, by package.\n\n{index}\n", **pages}


def public_modules() -> list[str]:
    """Packages with `__all__`, what additions are built on (modules called `base`, imports of examples), MODULES."""
    found = [*MODULES, *_imported()]
    for package in map(importlib.import_module, PACKAGES):
        below = list(pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
        packages = [package.__name__, *(m.name for m in below if m.ispkg)]
        found += [name for name in packages if hasattr(importlib.import_module(name), "__all__")]
        found += [m.name for m in below if m.name.endswith(".base")]
    return sorted(set(found))


def _imported() -> set[str]:
    """The modules of tamiz that the files in docs/extending import."""
    trees = [ast.parse(path.read_text()) for path in sorted((ROOT / "docs" / "extending").glob("*.py"))]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    found = {f"{n.module}.{a.name}" if n.module in PACKAGES else str(n.module) for n in imports for a in n.names}
    return {name for name in found if name.startswith(tuple(f"{package}." for package in PACKAGES))}


def module_page(module: ModuleType) -> str:
    """The tour in the module's docstring, then the names that it exports; or all that it holds."""
    tour = f"# {module.__name__}\n\n```text\n{(module.__doc__ or '').strip()}\n```\n"
    names = getattr(module, "__all__", ())
    if not names:
        return f"# {module.__name__}\n\n::: {module.__name__}\n    options: {{show_root_heading: false}}\n"
    # a name with underscores, such as tamiz.__version__, is a value that is made when it is asked for
    return "\n".join([tour, *(_entry(module, name) for name in names if not name.startswith("__"))])


def _entry(module: ModuleType, name: str) -> str:
    options = f"{{heading: {module.__name__}.{name}, toc_label: {name}}}"
    return f"::: {_home(module, name)}\n    options: {options}\n"


def _home(module: ModuleType, name: str) -> str:
    """Where an exported name is defined; a value that is neither class nor function is where it is exported."""
    value = getattr(module, name)
    if isinstance(value, ModuleType):
        return value.__name__
    return f"{value.__module__ if hasattr(value, '__qualname__') else module.__name__}.{name}"


def with_blocks(page: str) -> str:
    """The page, with the file below each line `<!-- docs/FILE -->` as a block of code."""

    def block(found: re.Match[str]) -> str:
        path = ROOT / found[2]
        return f"{found[1]}\n```{_LANGUAGES[path.suffix]}\n{path.read_text()}```\n"

    return _SHOWN.sub(block, page)


if __name__ == "__main__":
    for name in SHOWING:
        shown = ROOT / name
        shown.write_text(with_blocks(shown.read_text()))
    from tamiz.recipes.describe import page

    (ROOT / "docs" / "recipe-schema.md").write_text(page())
