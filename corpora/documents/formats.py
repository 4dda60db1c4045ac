"""Which formats are read, told by the file's extension."""

from __future__ import annotations

from corpora.errors import BadArgument

# extension -> (format, compression); "jsonl" is one JSON object a line whatever the extension.
EXTENSIONS: dict[str, tuple[str, str]] = {
    ".jsonl": ("jsonl", ""),
    ".jsonl.gz": ("jsonl", "gz"),
    ".jsonl.zst": ("jsonl", "zst"),
    ".json": ("jsonl", ""),
    ".json.gz": ("jsonl", "gz"),
    ".parquet": ("parquet", ""),
    ".tsv": ("tsv", ""),
    ".txt": ("txt", ""),
    ".txt.gz": ("txt", "gz"),
    ".txt.zst": ("txt", "zst"),
}


def detect(address: str) -> tuple[str, str]:
    """(format, compression) of a file; BadArgument, listing the formats, if the extension is unknown."""
    name = address.lower()
    for extension in sorted(EXTENSIONS, key=len, reverse=True):
        if name.endswith(extension):
            return EXTENSIONS[extension]
    raise BadArgument(f"{address}: unknown extension; readable formats are {', '.join(EXTENSIONS)}")
