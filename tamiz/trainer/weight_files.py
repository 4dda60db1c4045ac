"""The weights of a model's folder, tensor by tensor: safetensors, or PyTorch's pickles, in one file or several."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from corpora.errors import BadArgument, DamagedFile, in_a_line

if TYPE_CHECKING:
    import torch

NAMES = ("model.safetensors", "pytorch_model.bin")  # the first that is there is read


class Stored(NamedTuple):
    """A tensor in a file. read: loads it, on the CPU, in the stored dtype."""

    path: Path
    shape: tuple[int, ...]
    read: Callable[[], torch.Tensor]


def weight_files(folder: Path) -> list[Path]:
    """The files with the folder's weights, sorted. Raises BadArgument if it has none, DamagedFile if one lacks."""
    for name in NAMES:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            return [_present(folder / part, index) for part in _parts(index)]
    raise BadArgument(f"{folder} has no weights: neither {' nor '.join(NAMES)}, nor an index of several files")


def _parts(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedFile(f"{index} is damaged ({in_a_line(error)}): copy the model again") from None


def _present(path: Path, index: Path) -> Path:
    if not path.is_file():
        raise DamagedFile(f"{path} is missing, but {index.name} names it: copy the model again")
    return path


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """The tensors by name; reads no more than the files' headers. Raises BadArgument or DamagedFile."""
    found: dict[str, Stored] = {}
    for path in weight_files(folder):
        found |= _of_safetensors(path) if path.suffix == ".safetensors" else _of_pickle(path)
    return found


def _of_safetensors(path: Path) -> dict[str, Stored]:
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt", device="cpu")
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from None

    def reader(name: str) -> Callable[[], torch.Tensor]:
        return lambda: file.get_tensor(name)

    return {name: Stored(path, shape, reader(name)) for name, shape in shapes.items()}


def _of_pickle(path: Path) -> dict[str, Stored]:
    import torch

    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, AttributeError, ValueError) as error:
        raise _damaged(path, error) from None

    def reader(name: str) -> Callable[[], torch.Tensor]:
        return lambda: tensors[name]

    return {name: Stored(path, shape, reader(name)) for name, shape in shapes.items()}


def _is_zip(path: Path) -> bool:
    """Whether torch 1.6 or later wrote the file: only then it can be mapped into memory."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _damaged(path: Path, error: Exception) -> DamagedFile:
    return DamagedFile(f"{path} is damaged ({in_a_line(error, lines=1)}): copy the model again")
