"""Whether bytes are UTF-8, a character at a time: the twin of `corpora.documents.formats.utf8_kernels`.

Source: Unicode, table 3-7, well-formed UTF-8 byte sequences.
"""

from __future__ import annotations

_CONTINUATION = range(0x80, 0xC0)
# First byte, then the range of each byte after it.
SEQUENCES: list[tuple[range, list[range]]] = [
    (range(0x00, 0x80), []),
    (range(0xC2, 0xE0), [_CONTINUATION]),
    (range(0xE0, 0xE1), [range(0xA0, 0xC0), _CONTINUATION]),
    (range(0xE1, 0xED), [_CONTINUATION] * 2),
    (range(0xED, 0xEE), [range(0x80, 0xA0), _CONTINUATION]),
    (range(0xEE, 0xF0), [_CONTINUATION] * 2),
    (range(0xF0, 0xF1), [range(0x90, 0xC0), *[_CONTINUATION] * 2]),
    (range(0xF1, 0xF4), [_CONTINUATION] * 3),
    (range(0xF4, 0xF5), [range(0x80, 0x90), *[_CONTINUATION] * 2]),
]


def is_utf8(data: bytes) -> bool:
    position = 0
    while position < len(data):
        rest = next((rest for first, rest in SEQUENCES if data[position] in first), None)
        if rest is None:
            return False
        following = data[position + 1 : position + 1 + len(rest)]
        if len(following) < len(rest) or any(b not in r for b, r in zip(following, rest, strict=True)):
            return False
        position += 1 + len(rest)
    return True
