"""glibc gives threads heaps of their own, which grow with the text; a command of tamiz has one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")

HEAPS = """
import ctypes, sys, threading, os
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
def allocate():
    barrier.wait(); libc.malloc(ctypes.c_size_t(1000)); barrier.wait()
barrier = threading.Barrier(4)
threads = [threading.Thread(target=allocate) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file); libc.fclose(file)
print(os.environ.get("MALLOC_ARENA_MAX"))
"""
TAMIZ = """
import sys
from unittest import mock
from tamiz import start
with mock.patch("tamiz.cli.main"):
    start.main()
"""


def heaps(tmp_path, code, **variables):
    """(how many heaps four threads had, MALLOC_ARENA_MAX)."""
    out = tmp_path / "heaps.xml"
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"} | variables
    said = subprocess.run(
        [sys.executable, "-c", code, out], env=environment, check=True, capture_output=True, text=True
    ).stdout
    return out.read_text().count("<heap nr="), said.strip()


def test_threads_of_a_command_share_a_heap(tmp_path):
    """And so do those of the processes that it starts, by their environment."""
    many, unset = heaps(tmp_path, HEAPS)
    if many < 2:
        pytest.skip("this C library has one heap")
    assert unset == "None"
    assert heaps(tmp_path, TAMIZ + HEAPS) == (1, "1")


def test_a_user_s_own_setting_stays(tmp_path):
    assert heaps(tmp_path, TAMIZ + HEAPS, MALLOC_ARENA_MAX="2")[1] == "2"
