"""The weights of a model's folder, tensor by tensor: safetensors, or PyTorch's pickles, in one file or several.

A model of any size is read in little memory.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from corpora.errors import BadArgument, DamagedFile, in_a_line

if TYPE_CHECKING:
    import torch

ONE_FILE = "model.safetensors"
NAMES = (ONE_FILE, "pytorch_model.bin")  # the first that is there is read
INDEX = ".index.json"  # the ending of a list of several files
_NUMBERS = ("F64", "F32", "F16", "BF16")  # as safetensors names them


class _Stored(NamedTuple):
    """A tensor in a file. read: loads it, on the CPU, in the stored dtype."""

    path: Path
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], torch.Tensor]


class Weights:
    """The tensors by name, without those whose names match `unread`; each access reads one from the disk.

    Raises BadArgument for a folder without weights, DamagedFile for files that can't be read.
    """

    def __init__(self, folder: Path, unread: str | None = None) -> None:
        self.files = weight_files(folder)
        stored = _stored_tensors(folder)
        self._stored = {k: v for k, v in sorted(stored.items()) if unread is None or not re.search(unread, k)}
        if not self._stored:
            raise DamagedFile(f"{folder} has files of weights that hold none: copy the model again")

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __getitem__(self, name: str) -> torch.Tensor:
        """On the CPU, in the stored dtype. Raises DamagedFile if it isn't there, can't be read or isn't finite."""
        stored = self._of(name)
        try:
            tensor = stored.read()
        except Exception as error:  # of safetensors, torch or the disk
            words = in_a_line(error, lines=1)
            raise DamagedFile(f"{stored.path}: {name} can't be read ({words}): copy the model again") from None
        return self._finite(name, tensor) if stored.dtype in _NUMBERS else tensor

    def float32(self, name: str) -> torch.Tensor:
        """As `[name]`, in float32. Raises BadArgument for what `require_numbers` refuses."""
        self.require_numbers(name)
        tensor = self[name].float()
        return self._finite(name, tensor) if self._of(name).dtype == "F64" else tensor

    def shape(self, name: str) -> tuple[int, ...]:
        return self._of(name).shape

    def require_numbers(self, name: str) -> None:
        """Raises BadArgument for a tensor whose values mean nothing without a scale. Reads no more than headers."""
        stored = self._of(name)
        if stored.dtype not in _NUMBERS:
            raise BadArgument(
                f"{stored.path} has {name} as {stored.dtype}, but weights must be one of {', '.join(_NUMBERS)}: take "
                "the model before it was quantised"
            )

    def _finite(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        import torch

        if not torch.isfinite(tensor).all():
            raise DamagedFile(f"{self._of(name).path}: {name} isn't finite everywhere: copy the model again")
        return tensor

    def _of(self, name: str) -> _Stored:
        if name not in self._stored:
            raise DamagedFile(f"{self.files[0]} has no {name}, which its config.json asks for: copy the model again")
        return self._stored[name]


def weight_files(folder: Path) -> list[Path]:
    """The files with the folder's weights, sorted. Raises BadArgument if it has none, DamagedFile if one lacks."""
    found = _first(folder)
    if found.suffix != ".json":
        return [found]
    paths = [folder / part for part in sorted(set(_places(found).values()))]
    for path in paths:
        if not path.is_file():
            raise DamagedFile(f"{path} is missing, but {found.name} names it: copy the model again")
    return paths


def _first(folder: Path) -> Path:
    """The file with the weights, or the index of several."""
    for path in (folder / f"{name}{ending}" for name in NAMES for ending in ("", INDEX)):
        if path.is_file():
            return path
    raise BadArgument(f"{folder} has no weights: neither {' nor '.join(NAMES)}, nor an index of several files")


def _places(index: Path) -> dict[str, str]:
    """Tensor -> the name of its file."""
    try:
        places = json.loads(index.read_bytes())["weight_map"]
        if not all(isinstance(place, str) for place in places.values()):
            raise TypeError("weight_map must have names of files")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedFile(f"{index} is damaged ({in_a_line(error)}): copy the model again") from None
    found: dict[str, str] = places
    return found


def _stored_tensors(folder: Path) -> dict[str, _Stored]:
    """Reads no more than the files' headers."""
    found: dict[str, _Stored] = {}
    for path in weight_files(folder):
        found |= _of_safetensors(path) if path.suffix == ".safetensors" else _of_pickle(path)
    index = _first(folder)
    for name, place in _places(index).items() if index.suffix == ".json" else ():
        if name not in found:
            raise DamagedFile(f"{folder / place} has no {name}, but {index.name} says so: copy the model again")
    return found


def _of_safetensors(path: Path) -> dict[str, _Stored]:
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt", device="cpu")
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        heads = {name: (tuple(part.get_shape()), str(part.get_dtype())) for name, part in parts.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from None

    def reader(name: str) -> Callable[[], torch.Tensor]:
        return lambda: file.get_tensor(name)

    return {name: _Stored(path, *head, reader(name)) for name, head in heads.items()}


def _of_pickle(path: Path) -> dict[str, _Stored]:
    import torch

    names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
        heads = {k: (tuple(t.shape), names.get(t.dtype, str(t.dtype))) for k, t in tensors.items()}
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, AttributeError, ValueError, TypeError) as error:
        raise _damaged(path, error) from None

    def reader(name: str) -> Callable[[], torch.Tensor]:
        return lambda: tensors[name]

    return {name: _Stored(path, *head, reader(name)) for name, head in heads.items()}


def _is_zip(path: Path) -> bool:
    """Whether torch 1.6 or later wrote the file: only then it can be mapped into memory."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _damaged(path: Path, error: Exception) -> DamagedFile:
    return DamagedFile(f"{path} is damaged ({in_a_line(error, lines=1)}): copy the model again")
