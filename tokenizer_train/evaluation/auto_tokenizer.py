"""tokenizer.json, which AutoTokenizer reads, compared with the engine of record, document by document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.encoding.tokenizer_folder import read_config, read_file
from corpora.encoding.tokenizer_json import loading

BATCH_CHARACTERS = 1 << 18  # `tokenizers` takes some hundred bytes per id
LONGEST = 1 << 22  # characters; a longer document is not compared


class AutoForm:
    """Encodes as AutoTokenizer does, without the special ids that it appends."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        data = read_file(path)
        self.sha256 = hashlib.sha256(data).hexdigest()
        with loading(str(path)):
            self._tokenizer: Any = Tokenizer.from_str(data.decode())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._special = sorted({token.content for token in self._tokenizer.get_added_tokens_decoder().values()})
        self._first = {special[0] for special in self._special}

    def has_special(self, text: str) -> bool:
        """Whether the text contains a string that AutoTokenizer turns into a special id."""
        # most texts have none of the one or two characters with which such strings begin
        return any(first in text for first in self._first) and any(special in text for special in self._special)

    def encode(self, texts: list[str]) -> Iterator[npt.NDArray[np.int64]]:
        """The ids of each text, in bounded memory."""
        for batch in _batches(texts):
            for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False):
                yield np.array(encoding.ids, np.int64)


def auto_form(path_or_name: str) -> AutoForm | None:
    """The tokenizer.json beside another engine; None if there is none, or if it is the engine of record itself."""
    folder = Path(path_or_name)
    if not (folder / "tokenizer.json").is_file():
        return None
    another = (folder / "spiece.model").is_file() or read_config(folder).tokenizer_class == "ByT5Tokenizer"
    return AutoForm(folder / "tokenizer.json") if another else None


def _batches(texts: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and size + len(text) > BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch
