"""Kernels compiled by numba, and a few machine instructions that numba doesn't expose.

A kernel releases the GIL, is compiled once and cached on disk: in a folder below NUMBA_CACHE_DIR, or below the user's
cache folder. If that isn't writable, a temporary folder is used, and every process compiles again. See
`kernel_cache`. No fastmath: sums are evaluated and rounded in the order written. numba is slow to import, so
modules with kernels are imported where they are used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

os.environ.setdefault("NUMBA_DISABLE_INTEL_SVML", "1")  # its vector log10 and pow are not libm's

import llvmlite
import numba
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, event
from numba.extending import intrinsic
from numba.misc.appdirs import user_cache_dir

from corpora.compiling import announce
from corpora.errors import TamizError
from corpora.kernel_cache import cache_folder, digest, temporary_folder

Function = TypeVar("Function", bound=Callable[..., Any])

_log = logging.getLogger(__name__)

_config: Any = numba.config
if _config.DISABLE_JIT:
    raise TamizError(
        "numba's compiler is switched off (NUMBA_DISABLE_JIT), and the kernels are made for it: unset the variable"
    )


def _choose_cache() -> Path:
    given = os.environ.get("NUMBA_CACHE_DIR")
    version = digest(Path(__file__).parent, numba.__version__, llvmlite.__version__, binding.get_host_cpu_name())
    folder = cache_folder(Path(given or user_cache_dir("tamiz", appauthor=False)), version)
    if folder is not None:
        return folder
    _log.warning("kernel cache is not writable; recompiling in every process (set NUMBA_CACHE_DIR)")
    return temporary_folder()


class _Announcing(event.Listener):
    """Announces compilations by numba, which loading from the cache is not."""

    def on_start(self, event: Any) -> None:  # noqa: ARG002
        announce(True)

    def on_end(self, event: Any) -> None:  # noqa: ARG002
        announce(False)


CACHE = _choose_cache()
event.register("numba:compile", _Announcing())
_deciding = Lock()


def kernel(function: Function) -> Function:
    """Compiles `function` at its first call: releases the GIL, leaves indices unchecked, is cached on disk.

    Nothing checks an index, so every index must be right.
    """
    return _cached(function)


def uncounted(function: Function) -> Function:
    """As `kernel`, for a function that makes no arrays: it keeps no reference counts for the arrays passed to it.

    numba counts references atomically at every call that passes an array, even to an inlined function: inside a
    loop, that took half of the time.
    """
    return _cached(function, _nrt=False)


def _cached(function: Function, **more: bool) -> Function:
    """Sets numba's cache folder only while it decorates: other users of numba keep their own setting."""
    njit: Any = numba.njit
    config: Any = numba.config
    with _deciding:
        before, config.CACHE_DIR = config.CACHE_DIR, str(CACHE)
        try:
            decorate = njit(nogil=True, boundscheck=False, error_model="numpy", cache=True, **more)
            return cast(Function, decorate(function))
        finally:
            config.CACHE_DIR = before


def inlined(function: Function) -> Function:
    """As `kernel`, but inlined into the kernels that call it."""
    return cast(Function, numba.njit(nogil=True, boundscheck=False, error_model="numpy", inline="always")(function))


def _instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """numba's `intrinsic`, typed without the typing context, which callers don't pass."""
    return cast(Callable[..., Any], intrinsic(function))


@_instruction
def prefetch(_typing: Any, array: Any, _index: Any) -> Any:
    """prefetch(array, index): brings array[index] into the cache. Never faults, whatever the index."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        signature_ = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, signature_, "llvm.prefetch.p0")
        address = builder.bitcast(builder.gep(base.data, [arguments[1]]), pointer)
        builder.call(function, [address, number(0), number(3), number(1)])  # read, all cache levels, data
        return context.get_dummy_value()

    return types.void(array, types.int64), build


@_instruction
def load_uint64(_typing: Any, array: Any, _index: Any) -> Any:
    """load_uint64(array, index): the 8 bytes from array[index] on, little-endian, at any alignment."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(base.data, [arguments[1]])
        loaded = builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()), typ=ir.IntType(64))
        loaded.align = 1
        return loaded

    return types.uint64(array, types.int64), build


@_instruction
def multiply_high(_typing: Any, _left: Any, _right: Any) -> Any:
    """multiply_high(a, b): the upper 64 bits of the product of two uint64."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), build


@_instruction
def trailing_zeros(_typing: Any, _value: Any) -> Any:
    """trailing_zeros(x): the number of trailing zero bits of a uint64 x, which is not 0."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.uint64), build


@_instruction
def leading_zeros(_typing: Any, _value: Any) -> Any:
    """leading_zeros(x): the number of leading zero bits of a uint64 x, which is not 0."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.uint64), build


@_instruction
def bytes_between(_typing: Any, array: Any, _index: Any, _low: Any, _high: Any) -> Any:
    """bytes_between(array, index, low, high): for 64 bytes, bit i is set where low <= array[index + i] <= high."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base = context.make_array(signature.args[0])(context, builder, arguments[0])
        vector, number, lanes = ir.VectorType(ir.IntType(8), 64), ir.IntType(32), ir.VectorType(ir.IntType(32), 64)
        pointer = builder.bitcast(builder.gep(base.data, [arguments[1]]), vector.as_pointer())
        loaded = builder.load(pointer, typ=vector)
        loaded.align = 1

        def each(value: Any) -> Any:
            byte = builder.trunc(value, ir.IntType(8))
            first = builder.insert_element(ir.Constant(vector, ir.Undefined), byte, number(0))
            return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), ir.Constant(lanes, [0] * 64))

        low, high = each(arguments[2]), each(arguments[3])
        inside = builder.icmp_unsigned("<=", builder.sub(loaded, low), builder.sub(high, low))
        return builder.bitcast(inside, ir.IntType(64))

    return types.uint64(array, types.int64, types.int64, types.int64), build


@_instruction
def copy_64(_typing: Any, source: Any, _from: Any, target: Any, _to: Any) -> Any:
    """copy_64(source, i, target, j): target[j:j + 64] = source[i:i + 64]; the bytes must not overlap."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), 64)
        places = []
        for number in (0, 2):
            base = context.make_array(signature.args[number])(context, builder, arguments[number])
            place = builder.gep(base.data, [arguments[number + 1]])
            places.append(builder.bitcast(place, vector.as_pointer()))
        loaded = builder.load(places[0], typ=vector)
        loaded.align = 1
        builder.store(loaded, places[1], align=1)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), build
