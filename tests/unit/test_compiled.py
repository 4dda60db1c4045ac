"""Kernels: the instructions that numba has no name for, and where compiled code is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from corpora.compiled import (
    bytes_between,
    copy_64,
    kernel,
    leading_zeros,
    load_uint64,
    multiply_high,
    trailing_zeros,
    uncounted,
)
from corpora.kernel_cache import cache_folder, digest

ROOT = Path(__file__).resolve().parents[2]


@kernel
def _instructions(array, index, left, right, out):
    out[0] = load_uint64(array, index)
    out[1] = multiply_high(left, right)
    out[2] = np.uint64(trailing_zeros(left))
    out[3] = np.uint64(leading_zeros(left))


def test_instructions_are_what_python_says():
    generator, out = np.random.default_rng(1), np.zeros(4, np.uint64)
    data = generator.integers(0, 256, 64, np.uint8)
    for index in range(56):
        left, right = (int(number) | 1 << index for number in generator.integers(0, 1 << 63, 2))
        _instructions(data, index, np.uint64(left), np.uint64(right), out)
        expected = int.from_bytes(data[index : index + 8].tobytes(), "little")
        zeros = [(left & -left).bit_length() - 1, 64 - left.bit_length()]
        assert out.tolist() == [expected, left * right >> 64, *zeros]


@uncounted
def _on_64_bytes(data, index, low, high, bits, copied, to):
    bits[0] = bytes_between(data, index, low, high)
    copy_64(data, index, copied, to)


def test_instructions_on_64_bytes_are_what_python_says():
    generator, bits = np.random.default_rng(2), np.zeros(1, np.uint64)
    data = generator.integers(0, 256, 200, np.uint8)
    for index in range(136):
        low, high = sorted(generator.integers(0, 256, 2).tolist())
        copied = np.zeros(200, np.uint8)
        _on_64_bytes(data, index, low, high, bits, copied, 136 - index)
        expected = [low <= byte <= high for byte in data[index : index + 64].tolist()]
        assert [int(bits[0]) >> place & 1 for place in range(64)] == expected
        assert np.flatnonzero(copied).size <= 64
        assert np.array_equal(copied[136 - index : 200 - index], data[index : index + 64])


@pytest.fixture
def read_only(tmp_path):
    """An empty folder that even root can't write to."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a read-only folder needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


SCRIPT = """
import logging, pathlib, sys
from importlib.util import module_from_spec, spec_from_file_location
logging.basicConfig(format="%(message)s")
import corpora.compiled
source = pathlib.Path(sys.argv[1])
spec = spec_from_file_location("elsewhere", source)
module = module_from_spec(spec)
spec.loader.exec_module(module)
print(module.one(1) + module.two(1), corpora.compiled.CACHE)
"""


def test_without_a_folder_to_write_to_kernels_are_kept_in_a_temporary_one(tmp_path, read_only):
    """As in a container whose site-packages and home are read-only."""
    subprocess.run(["mount", "-o", "remount,rw", str(read_only)], check=True)
    source = read_only / "elsewhere.py"
    functions = "".join(f"@kernel\ndef {name}(x):\n    return x + 1\n" for name in ("one", "two"))
    source.write_text(f"from corpora.compiled import kernel\n{functions}")
    subprocess.run(["mount", "-o", "remount,ro", str(read_only)], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "NUMBA_CACHE_DIR")}
    environment |= {"XDG_CACHE_HOME": str(read_only / "cache"), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(source)], env=environment, capture_output=True, text=True, check=True
    )
    result, folder = done.stdout.split()
    assert result == "4"
    assert done.stderr.count("kernel cache is not writable; recompiling in every process (set NUMBA_CACHE_DIR)") == 1
    assert Path(folder).parent == tmp_path
    assert not Path(folder).exists()  # removed at the end


CALLER = """
from corpora.compiled import kernel
from corpora.constants import ADDED
from corpora.inner import double

@kernel
def doubled(x):
    return double(x) + ADDED
"""


@pytest.fixture
def package(tmp_path):
    """A package `corpora` with one kernel, which inlines a function and reads a constant of two other files."""
    package = tmp_path / "installed" / "corpora"
    package.mkdir(parents=True)
    for name in ("compiled.py", "compiling.py", "kernel_cache.py"):
        shutil.copy(ROOT / "corpora" / name, package / name)
    (package / "__init__.py").touch()
    (package / "caller.py").write_text(CALLER)
    (package / "constants.py").write_text("ADDED = 1\n")
    _write_inner(package, "2 * x")
    return package


def _write_inner(package, expression):
    source = f"from corpora.compiled import inlined\n@inlined\ndef double(x):\n    return {expression}\n"
    (package / "inner.py").write_text(source)


def _run(package, cache, code="from corpora.caller import doubled; print(doubled(10))"):
    environment = os.environ | {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=package.parent, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_change_in_another_file_renews_the_kernels_that_hold_its_code(package, tmp_path):
    cache = tmp_path / "cache"
    assert _run(package, cache) == "21"
    stored = sorted(cache.rglob("*.nbc"))
    assert len(stored) == 1
    assert _run(package, cache) == "21"
    assert sorted(cache.rglob("*.nbc")) == stored  # the second process compiled nothing
    _write_inner(package, "3 * x")
    assert _run(package, cache) == "31"
    (package / "constants.py").write_text("ADDED = 5\n")
    assert _run(package, cache) == "35"
    assert len([*cache.glob("kernels-*")]) == 3


def test_a_change_in_a_file_without_kernels_keeps_the_cache(package):
    before = digest(package)
    (package / "reader.py").write_text("LINES = 1\n")
    assert digest(package) == before
    assert digest(package, "another numba") != before


def test_the_setting_of_other_users_of_numba_stays(package, tmp_path):
    code = "import numba, corpora.caller; print(numba.config.CACHE_DIR)"
    assert _run(package, tmp_path / "cache", code) == str(tmp_path / "cache")


def test_old_cache_folders_are_removed_when_a_new_one_is_made(tmp_path):
    now = time.time()
    for days in range(12):
        folder = tmp_path / f"kernels-old-{days}"
        folder.mkdir()
        (folder / "kernel.nbc").write_text("")
        os.utime(folder, (now - days * 86400 - 10, now - days * 86400 - 10))
    (tmp_path / "of another program").mkdir()
    assert cache_folder(tmp_path, "old-11") is not None  # used again: the youngest now; nothing is new
    assert len([*tmp_path.iterdir()]) == 13
    cache_folder(tmp_path, "new")
    kept = {"kernels-new", "kernels-old-11", *(f"kernels-old-{days}" for days in range(6)), "of another program"}
    assert {folder.name for folder in tmp_path.iterdir()} == kept


def test_folders_of_the_last_day_stay_however_many(tmp_path):
    for number in range(12):
        cache_folder(tmp_path, str(number))
    assert len([*tmp_path.iterdir()]) == 12
