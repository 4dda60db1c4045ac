"""GPT-2's two files as a tokenizer.json: vocab.json and merges.txt, or encoder.json and vocab.bpe (openai/gpt-2)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from corpora.encoding.tokenizer_folder import read_file
from corpora.errors import DamagedFile

NAMES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))


def find_files(folder: Path) -> tuple[Path, Path] | None:
    """The vocabulary and the merges, if the folder has both."""
    for vocabulary, merges in NAMES:
        if (folder / vocabulary).is_file() and (folder / merges).is_file():
            return folder / vocabulary, folder / merges
    return None


def tokenizer_json(vocabulary: Path, merges: Path) -> bytes:
    """The bytes of the tokenizer.json that transformers makes from the two files, without its special tokens.

    Equal files give equal bytes. Raises DamagedFile if they aren't the files of a byte-level BPE.
    """
    vocab = _read_vocabulary(vocabulary)
    return msgspec.json.encode(
        {
            "version": "1.0",
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": {
                "type": "ByteLevel",
                "add_prefix_space": False,
                "trim_offsets": True,
                "use_regex": True,
            },
            "post_processor": None,
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": vocab,
                "merges": _read_merges(merges, vocab),
            },
        }
    )


def byte_characters() -> dict[int, str]:
    """GPT-2's printable character for each byte (openai/gpt-2 src/encoder.py, `bytes_to_unicode`)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def _read_vocabulary(path: Path) -> dict[str, int]:
    try:
        vocab = msgspec.json.decode(read_file(path), type=dict[str, int])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} is not a vocabulary of tokens and ids ({error}): copy it again") from None
    lacking = len(set(byte_characters().values()) - vocab.keys())
    if lacking or any(token.endswith("</w>") for token in vocab):
        why = f"it lacks {lacking} of the 256 bytes" if lacking else "its tokens mark the ends of words with </w>"
        raise DamagedFile(f"{path} is not the vocabulary of a byte-level BPE ({why}): give a tokenizer.json")
    return vocab


def _read_merges(path: Path, vocab: dict[str, int]) -> list[tuple[str, str]]:
    try:
        lines = read_file(path).decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{path} is damaged ({error}): copy it again") from None
    merges = []
    for number, line in enumerate(lines, 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        left, _, right = line.partition(" ")
        if not {left, right, left + right} <= vocab.keys():
            raise DamagedFile(
                f"{path} line {number}: the vocabulary lacks a token of the merge {line!r}: copy both files again"
            )
        merges.append((left, right))
    return merges
