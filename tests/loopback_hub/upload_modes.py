"""Which files a repository keeps in LFS: its .gitattributes, then size and content."""

from __future__ import annotations

from fnmatch import fnmatchcase

LARGEST_REGULAR = 10_000_000  # bytes
# The Hub's .gitattributes for a new repository; data sets have sounds and pictures in addition.
EVERYWHERE = """
*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz *.onnx *.ot
*.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz
*.zip *.zst *tfevents*
"""
DATA_SETS = """
*.avro *.lz4 *.mds *.pcm *.sam *.raw *.aac *.flac *.mp3 *.ogg *.wav *.bmp *.gif *.png *.tiff *.jpg *.jpeg *.webp *.mp4
*.webm
"""


def attributes(kind: str) -> bytes:
    """The .gitattributes of a new repository."""
    patterns = (EVERYWHERE + DATA_SETS * (kind == "dataset")).split()
    return "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns).encode()


def is_lfs(path: str, size: int, sample: bytes, rules: bytes) -> bool:
    """`rules` are the repository's .gitattributes, `sample` is the file's first 512 bytes."""
    for line in rules.decode().splitlines():
        pattern, *words = line.split()
        if "filter=lfs" in words and _matches(path, pattern):
            return True
    return size > LARGEST_REGULAR or _is_binary(sample)


def _matches(path: str, pattern: str) -> bool:
    if "/" in pattern:
        return fnmatchcase(path, pattern.replace("**/", "*"))
    return fnmatchcase(path.rsplit("/", 1)[-1], pattern)


def _is_binary(sample: bytes) -> bool:
    """A NUL, or bytes that aren't UTF-8; a character may be cut off at the end."""
    if b"\0" in sample:
        return True
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.end < len(sample) or error.reason != "unexpected end of data"
    return False
