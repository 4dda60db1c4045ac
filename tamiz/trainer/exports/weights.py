"""The weights of a folder that transformers wrote, one tensor at a time: a model of any size in little memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from corpora.errors import BadArgument, DamagedFile

ONE_FILE, INDEX = "model.safetensors", "model.safetensors.index.json"


class Weights:
    """Name -> tensor, read from the disk at each access.

    Raises BadArgument for a folder without safetensors, DamagedFile for files that can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.files = weight_files(folder)
        self._places = {name: path for path in self.files for name in _names(path)}
        if not self._places:
            raise DamagedFile(f"{self.files[0]} holds no weights: train the model again")

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Any:
        """A torch.Tensor in the stored dtype, on the CPU. Raises DamagedFile if the model has none of that name."""
        path = self._places.get(name)
        if path is None:
            raise DamagedFile(f"{self.files[0]} has no {name}, which its config.json asks for: train the model again")
        with _opened(path) as file:
            return file.get_tensor(name)

    def shape(self, name: str) -> tuple[int, ...]:
        with _opened(self._places[name]) as file:
            return tuple(file.get_slice(name).get_shape())


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, in the order of their names."""
    index = folder / INDEX
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise DamagedFile(f"{index} is damaged ({error}): copy it again") from None
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise DamagedFile(f"{folder / missing[0]} is missing, but {INDEX} names it: copy it again")
        return [folder / name for name in names]
    if not (folder / ONE_FILE).is_file():
        raise BadArgument(f"{folder} has no {ONE_FILE}: name the folder that `tamiz train` or `run` wrote")
    return [folder / ONE_FILE]


def _names(path: Path) -> list[str]:
    with _opened(path) as file:
        return list(file.keys())


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise DamagedFile(f"{path} is damaged ({str(error).splitlines()[0]}): train the model again") from None
