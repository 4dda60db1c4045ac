"""Values of Thrift's compact protocol as bytes, for Parquet's headers and footers.

Source: thrift-compact-protocol.md of Apache Thrift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

_FALSE, _TRUE, _I8, _I16, _I32, _I64, _BINARY, _LIST, _STRUCT = 2, 1, 3, 4, 5, 6, 8, 9, 12
_SHORT_LIST = 15  # shorter lengths share a byte with the kind


class Value(NamedTuple):
    """kind: the protocol's number for the type."""

    kind: int
    data: bytes


def varint(number: int) -> bytes:
    """LEB128 of a number >= 0."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def boolean(value: bool) -> Value:
    """For a field of a struct only; in a list it would be written differently."""
    return Value(_TRUE if value else _FALSE, b"")


def i8(number: int) -> Value:
    return Value(_I8, number.to_bytes(1, "little", signed=True))


def i16(number: int) -> Value:
    return Value(_I16, _zigzag(number, 16))


def i32(number: int) -> Value:
    return Value(_I32, _zigzag(number, 32))


def i64(number: int) -> Value:
    return Value(_I64, _zigzag(number, 64))


def _zigzag(number: int, bits: int) -> bytes:
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise OverflowError(f"{number} in {bits} bits")
    return varint(number << 1 if number >= 0 else ~(number << 1))


def string(text: str) -> Value:
    data = text.encode()
    return Value(_BINARY, varint(len(data)) + data)


def array(items: Sequence[Value]) -> Value:
    """A list of one or more values of one kind."""
    kind = items[0].kind
    short = len(items) < _SHORT_LIST
    header = bytes([len(items) << 4 | kind]) if short else bytes([_SHORT_LIST << 4 | kind]) + varint(len(items))
    return Value(_LIST, header + b"".join(item.data for item in items))


def struct(fields: Mapping[int, Value]) -> Value:
    """Fields by number, in ascending order, each number at most 15 above the one before."""
    out, before = bytearray(), 0
    for number, (kind, data) in fields.items():
        out.append(number - before << 4 | kind)
        out += data
        before = number
    out.append(0)
    return Value(_STRUCT, bytes(out))
