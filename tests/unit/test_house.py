"""The house's own rules: import directions, light imports, short files and functions, names that are promised."""

from __future__ import annotations

import ast
import re
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("corpora", "tokenizer_train", "pipelines", "tamiz")
HEAVY = (
    "apache_beam",
    "torch",
    "transformers",
    "datasets",
    "pyarrow",
    "sentencepiece",
    "kenlm",
    "matplotlib",
    "numpy",
)
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_KERNEL = 400, 40, 60  # lines
# What README.md and the design promise to users of the library.
PUBLIC = {
    "corpora.perplexity": ["PerplexityModel"],
    "corpora.sampling": ["Gaussian", "Stepwise", "Uniform", "keep"],
    "corpora.tokens": ["span_corruption", "causal"],
    "corpora.encoding": ["Encoder", "load_encoder"],
    "corpora.rows": ["ShardRows"],
    "pipelines": [
        "AnnotateDocuments",
        "BuildShards",
        "EvaluateTokenizers",
        "SampleDocuments",
        "ScoreDocuments",
        "AnnotateWork",
        "EvaluateWork",
        "SampleWork",
        "ScoreWork",
        "ShardWork",
        "ItemResult",
        "WorkItem",
        "work_items",
    ],
    "tamiz.trainer": ["ShardDataset"],
}


def test_imports_point_one_way():
    found = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_the_tour_draws_the_directions_that_are_enforced():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    found = {contract["name"]: contract["layers"] for contract in contracts if contract["type"] == "layers"}
    assert " -> ".join(found["Imports point one way"]) in text.splitlines()
    for name in ("tamiz", "corpora"):
        layers = [layer.split(" | ") for layer in found[f"Inside {name}"]]
        (drawn,) = re.findall(rf"^inside {name}: +(.+)$", text, re.MULTILINE)
        steps = [step.split(", ") for step in drawn.removesuffix(" -> single modules").split(" -> ")]
        places = [{_place(layers, f"{name}.{module}") for module in step} for step in steps]
        assert all(max(above) < min(below) for above, below in pairwise(places)), drawn


def _place(layers: list[list[str]], module: str) -> int:
    return next(n for n, layer in enumerate(layers) if module in layer)


@pytest.mark.parametrize(
    "code",
    [
        "import corpora",
        "import tamiz.trainer.settings, pipelines.settings",
        "from tamiz.cli import _run; _run(['--help'], False)",
    ],
)
def test_light_imports_pull_in_no_heavy_library(code):
    check = f"{code}\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "[]"


def _files() -> list[Path]:
    return [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_files_are_short():
    assert [path for path in _files() if len(path.read_text().splitlines()) > LONGEST_FILE] == []


def _functions(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Name, lines (docstring included), and whether it is a kernel, of every function of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            lines = (node.end_lineno or 0) - node.lineno + 1
            yield node.name, lines, not decorators.isdisjoint({"kernel", "uncounted", "inlined"})


def test_make_test_runs_every_folder_of_tests():
    """It names them, to begin with the longest."""
    [run] = re.findall(r"^TESTS \?= (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert sorted(run.split()) == sorted(folders)


def test_functions_are_short():
    long = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _files()
        for name, lines, is_kernel in _functions(path)
        if lines > (LONGEST_KERNEL if is_kernel else LONGEST_FUNCTION)
    }
    assert long == set()


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_there(module):
    """As `from module import name` finds them: an attribute, or else a submodule."""
    there = import_module(module)
    assert [n for n in PUBLIC[module] if not hasattr(there, n) and find_spec(f"{module}.{n}") is None] == []


def test_every_exported_name_is_there():
    exporting = [import_module(_module(path)) for path in _files() if "__all__" in path.read_text()]
    assert {module.__name__ for module in exporting} >= PUBLIC.keys() - {"corpora.tokens"}
    missing = [(m.__name__, name) for m in exporting for name in m.__all__ if getattr(m, name, None) is None]
    assert missing == []


def test_each_kernel_module_names_its_readable_twin():
    """By a line `Twin: NAME[, NAME]`: a dotted name of the library, or `tests/reference/FILE.py::NAME`."""
    without, kernels = [], 0
    for path in _files():
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.ImportFrom) and node.module == "corpora.compiled" for node in tree.body):
            kernels += 1
            line = re.search(r"^Twin: (.+)$", ast.get_docstring(tree) or "", re.MULTILINE)
            if line is None or not all(_is_there(name) for name in line[1].split(", ")):
                without.append(str(path.relative_to(ROOT)))
    assert without == []
    assert kernels > 20


def _is_there(twin: str) -> bool:
    file, _, name = twin.partition("::")
    module = _module(ROOT / file) if name else twin.rpartition(".")[0]
    return hasattr(import_module(module), name or twin.rpartition(".")[2])


def test_no_modules_import_each_other_in_a_circle():
    """Imports inside functions, and those for types alone, count too: circles of design."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while leaves := [module for module, imported in imports.items() if not imported & imports.keys()]:
        for module in leaves:
            del imports[module]
    assert sorted(imports) == []  # those left import each other, or one that does


def test_help_starts_quickly():
    """A generous bound: the aim is 0.3 s, this only catches a heavy import."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "tamiz", "--help"], cwd=ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # seconds of work: on a busy machine others pass, too
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
