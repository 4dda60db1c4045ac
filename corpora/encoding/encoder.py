"""`Encoder`, which every kind of tokenizer implements, and `load_encoder`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from corpora.encoding import tokenizer_folder
from corpora.encoding.flat import FlatIds
from corpora.encoding.gpt2 import files as gpt2_files
from corpora.encoding.tokenizer_folder import TokenizerConfig
from corpora.errors import BadArgument
from corpora.texts import Utf8

if TYPE_CHECKING:
    from corpora.encoding.sentencepiece.encoder import SentencePieceEncoder

Ids = NDArray[np.int32]
_HUB_NAME = re.compile(r"(?!.*\.(json|model)$)[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class Encoder(Protocol):
    """Text to ids. Threads may share one; it can be pickled.

    vocab_size: the number of ids, sentinels included. pad_id: eos_id or 0 if there is no padding token. sha256:
    encoders with the same one give the same ids, special ids included.
    """

    vocab_size: int
    bos_id: int | None
    eos_id: int | None
    pad_id: int
    unk_id: int | None
    num_sentinels: int
    sha256: str

    @property
    def engine(self) -> str:
        """What `encode_flat` uses: `word cache`, `bytes`, or a library and its version."""
        ...

    def sentinel_id(self, number: int) -> int:
        """The id of sentinel `number`, 0 <= number < num_sentinels. Raises BadArgument if out of range."""
        ...

    def encode_batch(self, texts: list[str]) -> list[Ids]:
        """int32 ids of each text by the engine of record: nothing appended; a literal `</s>` encoded as text."""
        ...

    def encode_flat(self, texts: Utf8) -> FlatIds:
        """The ids of `encode_batch`, but fast: hot loops release the GIL; memory besides the result is bounded."""
        ...

    def id_to_piece(self, number: int) -> str:
        """A readable name for one id below vocab_size; empty if the vocabulary leaves it out."""
        ...

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """Readable text; sentinels appear as `<extra_id_0>`, pad and eos don't."""
        ...


def load_encoder(path_or_name: str) -> Encoder:
    """An encoder from a tokenizer folder, a tokenizer file, or the name `byt5` (google's ByT5).

    In a folder, the first of these is used: spiece.model, unless the tokenizer.json beside it has more tokens;
    tokenizer.json; vocab.json and merges.txt (OpenAI's names: encoder.json and vocab.bpe); tokenizer.model. A file is
    a SentencePiece model or a tokenizer.json.

    Raises BadArgument if there is no tokenizer, or one whose ids can't be AutoTokenizer's; DamagedFile if one of its
    files is damaged.
    """
    path = Path(path_or_name)
    if path_or_name == "byt5" and not path.is_dir():
        from corpora.encoding.byte_encoder import ByteEncoder

        return ByteEncoder(google=True)
    if path.is_file():
        return _from_file(path)
    if not path.is_dir():
        raise BadArgument(_missing(path_or_name))
    return _from_folder(path, tokenizer_folder.read_config(path))


def _from_folder(path: Path, config: TokenizerConfig) -> Encoder:
    if config.kind == "ByT5Tokenizer":
        return _bytes(path, config)
    if (path / "spiece.model").is_file():
        return _sentencepiece_or_json(path, config)
    if (path / "tokenizer.json").is_file():
        return _json(path / "tokenizer.json", config)
    if (files := gpt2_files.find_files(path)) is not None:
        from corpora.encoding.json_encoder import JsonEncoder

        return JsonEncoder(gpt2_files.tokenizer_json(*files), config, str(files[0]))
    if (path / "tokenizer.model").is_file():
        return _whole(path / "tokenizer.model", config)
    raise BadArgument(
        f"{path} has no tokenizer: neither spiece.model nor tokenizer.json, nor vocab.json with merges.txt"
    )


def _from_file(path: Path) -> Encoder:
    with path.open("rb") as file:
        is_json = file.read(64).lstrip().startswith(b"{")
    if is_json:
        return _json(path, tokenizer_folder.read_config(path.parent))
    return _sentencepiece(path, TokenizerConfig())


def _json(path: Path, config: TokenizerConfig) -> Encoder:
    from corpora.encoding.json_encoder import JsonEncoder

    return JsonEncoder(tokenizer_folder.read_file(path), config, str(path))


def _sentencepiece_or_json(folder: Path, config: TokenizerConfig) -> Encoder:
    from corpora.encoding.engine_of_folder import json_has_more
    from corpora.encoding.json_encoder import JsonEncoder

    beside = folder / "tokenizer.json"
    if not beside.is_file():
        return _whole(folder / "spiece.model", config)
    engine, data = _sentencepiece(folder / "spiece.model", config), tokenizer_folder.read_file(beside)
    return JsonEncoder(data, config, str(beside)) if json_has_more(beside, data, engine, config) else engine


def _whole(path: Path, config: TokenizerConfig) -> Encoder:
    """A folder's SentencePiece model. Raises BadArgument if the config adds tokens to it."""
    from corpora.encoding.engine_of_folder import refuse_lacking

    engine = _sentencepiece(path, config)
    refuse_lacking(path, config, (piece.text for piece in engine.pieces))
    return engine


def _sentencepiece(path: Path, config: TokenizerConfig) -> SentencePieceEncoder:
    from corpora.encoding.sentencepiece.encoder import SentencePieceEncoder

    model = tokenizer_folder.read_file(path)
    tokenizer_folder.check_sha256(path, model, config.spiece_model_sha256)
    return SentencePieceEncoder(model, config.num_sentinels, str(path), ascending=config.ascending)


def _bytes(path: Path, config: TokenizerConfig) -> Encoder:
    from corpora.encoding.byte_encoder import ByteEncoder
    from corpora.encoding.engine_of_folder import refuse_lacking

    encoder = ByteEncoder(config.num_sentinels)
    refuse_lacking(path / "ByT5Tokenizer", config, (encoder.id_to_piece(k) for k in range(3)))
    return encoder


def _missing(path_or_name: str) -> str:
    why = f"no tokenizer {path_or_name!r} here: give a folder, a .model or tokenizer.json file, or byt5"
    if not _HUB_NAME.fullmatch(path_or_name):
        return why
    folder = path_or_name.rpartition("/")[2]
    return (
        f"{why}; one of the Hugging Face Hub must be downloaded: hf download {path_or_name} --include '*.json' "
        f"--include '*.model' --include 'merges.txt' --local-dir {folder}, then give {folder}"
    )
