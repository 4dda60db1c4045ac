"""Records of Common Crawl's WET files."""

from __future__ import annotations


def warc_record(kind: str, body: bytes, **headers: str) -> bytes:
    """The record, with its Content-Length. Headers: an underline stands for a hyphen."""
    lines = [f"WARC-Type: {kind}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    lines.append(f"Content-Length: {len(body)}")
    return b"WARC/1.0\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body + b"\r\n\r\n"
