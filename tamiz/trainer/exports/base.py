"""The base of all exports: settings, tagged with the format's name, that write a trained model in that format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from corpora import extras
from corpora.choices import Flag, name_of
from corpora.config import Config
from corpora.errors import BadArgument
from tamiz.trainer.families import ModelSettings
from tamiz.trainer.generation import family_of
from tamiz.trainer.inputs import TOKENIZER_FILES
from tamiz.trainer.published_config import read_config
from tamiz.trainer.weight_files import Weights, weight_files


@dataclass(frozen=True)
class Source:
    """A trained model: the folder that transformers loads, its family, and its config.json with transformers'
    defaults where that says nothing."""

    folder: Path
    family: type[ModelSettings]
    config: dict[str, Any]

    @property
    def name(self) -> str:
        """That of the folder; of a run's folder `model`, which says nothing, that of the run."""
        folder = self.folder.resolve()
        return folder.parent.name if folder.name == "model" and folder.parent.name else folder.name

    @property
    def files(self) -> list[Path]:
        """Everything that an export is made from: configuration, weights, tokenizer."""
        names = ("config.json", "generation_config.json", *TOKENIZER_FILES)
        return [*(path for path in map(self.folder.joinpath, names) if path.is_file()), *weight_files(self.folder)]

    def weights(self) -> Weights:
        """Without tensors that aren't weights. Raises BadArgument or DamagedFile."""
        return Weights(self.folder, self.family.unread)

    def tokenizer_files(self) -> list[Path]:
        return [self.folder / name for name in TOKENIZER_FILES if (self.folder / name).is_file()]


def read_source(folder: Path) -> Source:
    """Raises BadArgument for a folder without a model of a known family, DamagedFile for a damaged one."""
    from transformers import CONFIG_MAPPING

    family = family_of(folder)
    config = json.loads((folder / "config.json").read_bytes())
    known = read_config(folder).to_dict() if family.model_type in CONFIG_MAPPING else {}
    return Source(folder, family, {**config, **known})


def config_of(model: ModelSettings) -> dict[str, Any]:
    """The config.json that a model of this shape will have. Allocates no weights."""
    import torch

    with torch.device("meta"):
        config: dict[str, Any] = model.build(seed=0).config.to_dict()
    return config


class Export(Config, frozen=True, kw_only=True, tag_field="to"):
    """A format, and everything that is specific to it.

    A subclass must set `title`, `packages` and `extra`, and define `unfit`, `write` and `usage`.
    """

    title: ClassVar[str]
    """What it is, in summaries and cards."""
    packages: ClassVar[tuple[str, ...]]
    """The modules that it imports besides torch and transformers."""
    extra: ClassVar[str]
    """The optional part of tamiz that installs them."""
    flags: ClassVar[tuple[Flag, ...]] = ()
    """The command-line flags of its settings."""

    @property
    def name(self) -> str:
        return name_of(self)

    def require(self) -> None:
        """Raises BadArgument if a package is missing, with the line that installs it."""
        from importlib.util import find_spec

        for package in self.packages:
            if find_spec(package) is None:
                raise BadArgument(f"--to {self.name} needs {package}, which is not installed: run {self.install()}")

    def install(self) -> str:
        """A command that installs what the export needs."""
        return extras.line(self.extra)

    def unfit(self, family: type[ModelSettings], config: Mapping[str, Any]) -> str | None:
        """Why a model of this family and config.json can't be written in this format; None if it can."""
        raise NotImplementedError(f"{type(self).__name__} must define `unfit`")

    def unfit_tokenizer(self, source: Source) -> str | None:  # noqa: ARG002
        """Why the model's tokenizer can't be written in this format; None if it can."""
        return None

    def check(self, source: Source) -> None:
        """Raises BadArgument if the model can't be written in this format, saying why. Reads no weights."""
        quantised = "is quantised already: name the folder that it was made from"
        reason = quantised if source.config.get("quantization_config") else None
        reason = reason or self.unfit(source.family, source.config) or self.unfit_tokenizer(source)
        if reason:
            raise BadArgument(f"{source.folder} can't be exported with --to {self.name}: it {reason}")

    def num_bytes(self, source: Source) -> int:  # noqa: ARG002
        """About the bytes of its files: that room must be there before anything is written, since not every library
        survives a full disk. 0: any."""
        return 0

    def write(self, source: Source, out: Path) -> None:
        """Writes the files of the export into the empty folder `out`."""
        raise NotImplementedError(f"{type(self).__name__} must define `write`")

    def usage(self, source: Source) -> str:
        """Python that loads the export from the current folder and uses it, for its card."""
        raise NotImplementedError(f"{type(self).__name__} must define `usage`")

    def limits(self, source: Source) -> str:  # noqa: ARG002
        """What a user of the export should know, for its card; empty: nothing."""
        return ""
