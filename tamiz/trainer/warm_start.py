"""A training that starts from the weights of another model (`train.init`): what must fit, and the copy."""

from __future__ import annotations

import logging
import re
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora import manifest
from corpora.addresses import scheme_of
from corpora.copies import local_folder
from corpora.encoding import Encoder, load_encoder
from corpora.encoding.byte_encoder import ByteEncoder
from corpora.errors import BadArgument, DamagedFile, Unreachable
from corpora.manifest import InputIdentity
from corpora.tokens.facts import ShardFacts
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.published_config import check_function, read_config
from tamiz.trainer.sentinels import encoder_of_model, in_words, sentinels_of
from tamiz.trainer.weight_files import Weights, weight_files

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)
_PROBES = [
    "The five boxing wizards jump quickly.",
    "¿Qué niño leyó 1.234 «libros»?",
    "다람쥐 헌 쳇바퀴",
    "色は匂へど 天地玄黄",
]
_HUB_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")


def folder_of(init: str) -> Path:
    """The model's folder, downloaded if it is a name of the Hub. Raises BadArgument if there is no such model."""
    if scheme_of(init):  # a copy of what lies in a store
        return local_folder(init)
    if Path(init).is_dir():
        return Path(init)
    named = _HUB_NAME.fullmatch(init)
    if Path(init).exists() or named is None:
        raise BadArgument(
            f"train.init is {init!r}, which is neither the folder of a model nor a name of the Hub (OWNER/NAME)"
        )
    return _download(init, named["name"], named["revision"])


@lru_cache(maxsize=8)
def _download(init: str, name: str, revision: str | None) -> Path:
    """Everything is checked by the hashes that the Hub lists; what is cached, by those under which it was cached."""
    from corpora.hub.snapshot import check_cached, model_snapshot

    if cached := _cached(name, revision):
        check_cached(Path(cached))
        return Path(cached)
    try:
        return model_snapshot(name, revision, _needed)
    except BadArgument as error:
        raise BadArgument(
            f"train.init is {init!r}: no folder here, and {error}; or download the model and name its folder"
        ) from None
    except Unreachable as error:
        raise Unreachable(
            f"train.init is {init!r}: no folder here, and {error}; or download the model and name its folder"
        ) from None


def _needed(files: list[str]) -> list[str]:
    """Its pickled weights only if it has no safetensors."""
    safe = any(file.endswith(".safetensors") for file in files)
    patterns = ("*.json", "*.model", "merges.txt", "*.safetensors" if safe else "pytorch_model*.bin")
    return [file for file in files if any(fnmatch(file, pattern) for pattern in patterns)]


def _cached(name: str, revision: str | None) -> str | None:
    """A whole snapshot that is there already: the network isn't asked."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(name, revision=revision, local_files_only=True)
        weight_files(Path(folder))
    except (LocalEntryNotFoundError, BadArgument, DamagedFile):
        return None
    return str(folder)


def identities(init: str) -> list[InputIdentity]:
    """What identifies the weights: the names, sizes and sha256 of their files, and of config.json."""
    folder = folder_of(init)
    paths = [folder / "config.json", *weight_files(folder)]
    return [manifest.local_identity(path, f"init/{path.name}") for path in paths if path.is_file()]


def digest(init: str) -> str:
    """The content of the weights, as checkpoints record it."""
    return ", ".join(f"{identity.name} {identity.sha256}" for identity in identities(init))


def check_init(init: str, model: ModelSettings, facts: ShardFacts, tokenizer: Path) -> None:
    """Raises BadArgument if the weights don't suit the model or its shards, naming what differs; DamagedFile if they
    can't be read. Reads no more than the headers of weights.

    facts: describe the rows that the model reads. tokenizer: of the shards.
    """
    folder = folder_of(init)
    config = _config(folder, model)
    import torch

    with torch.device("meta"):
        built = model.build(seed=0, pad_id=facts.pad_id)
    _check_shape(init, config, built.config, type(model))
    check_function(init, config, built.config, type(model))
    _check_vocabulary(init, folder, config, facts, tokenizer)
    _matched(built, model, init, Weights(folder, model.unread))


def load(built: Any, model: ModelSettings, init: str) -> None:
    """Copies the weights into a model that was just built, whose weights are float32, one tensor at a time.

    Raises BadArgument if they don't suit the model, DamagedFile if one of them can't be read or isn't finite.
    """
    import torch

    weights = Weights(folder_of(init), model.unread)
    with torch.no_grad():
        for parameter, name in _matched(built, model, init, weights):
            parameter.copy_(weights.float32(name))


def _config(folder: Path, model: ModelSettings) -> Any:
    """transformers' config of the folder, which must be of the model's family."""
    if not (folder / "config.json").is_file():
        raise BadArgument(f"{folder} has no config.json: train.init takes the folder of a transformers model")
    config = read_config(folder)
    if config.model_type != model.model_type:
        raise BadArgument(
            f"train.init has a model of type {config.model_type!r}, but model.family {model.family} needs "
            f"{model.model_type!r}: name another model, or change model.family"
        )
    return config


def _check_shape(init: str, config: Any, built: Any, family: type[ModelSettings]) -> None:
    """config, built: transformers' configs of the weights and of the model that is to be trained."""
    wanted = family.settings_of(built)
    for name, theirs in family.settings_of(config).items():
        ours = wanted[name]
        if ours != theirs:
            raise BadArgument(
                f"model.{name} is {ours}, but {init} has {theirs}: set model.{name} to {theirs}, or start from "
                "another model"
            )


def _check_vocabulary(init: str, folder: Path, config: Any, facts: ShardFacts, tokenizer: Path) -> None:
    """Ids must mean what they meant to the weights: EOS, sentinels, and every piece that both tokenizers have."""
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    if facts.eos_id is not None and ends != [None] and facts.eos_id not in ends:
        raise BadArgument(
            f"the shards end documents with id {facts.eos_id}, but {init} with {', '.join(map(str, ends))}: build "
            "the shards with its tokenizer"
        )
    theirs, ours = encoder_of_model(folder), load_encoder(str(tokenizer))
    if theirs is None:
        _LOG.warning("%s has no tokenizer: nobody knows whether its ids mean the same as those of the shards", init)
        return
    _check_sentinels(init, theirs, facts)
    if theirs.sha256 != ours.sha256:
        _check_pieces(init, theirs, ours)


def _check_sentinels(init: str, theirs: Encoder, facts: ShardFacts) -> None:
    known, ours = sentinels_of(theirs), facts.sentinel_ids
    if facts.label_length is None:  # causal rows have none
        return
    if known is None or ours is None or (known.first, known.step) != (ours.first, ours.step):
        fix = "the tokenizer byt5" if isinstance(theirs, ByteEncoder) and theirs.google else "its tokenizer"
        raise BadArgument(
            f"the shards mark spans with ids {in_words(ours)}, but the weights of {init} know {in_words(known)}: "
            f"build the shards with {fix}"
        )


def _check_pieces(init: str, theirs: Encoder, ours: Encoder) -> None:
    if type(theirs) is not type(ours):  # they may spell the same piece differently
        return _check_ids(init, theirs, ours)
    special = {e.sentinel_id(k) for e in (theirs, ours) for k in range(e.num_sentinels)}
    for number in range(min(theirs.vocab_size, ours.vocab_size)):
        a, b = theirs.id_to_piece(number), ours.id_to_piece(number)
        if a != b and number not in special:
            raise BadArgument(
                f"id {number} is {a!r} in the tokenizer of {init}, but {b!r} in that of the shards: build the shards "
                "with its tokenizer"
            )
    return None


def _check_ids(init: str, theirs: Encoder, ours: Encoder) -> None:
    for text, a, b in zip(_PROBES, theirs.encode_batch(_PROBES), ours.encode_batch(_PROBES), strict=True):
        if a.tolist() != b.tolist():
            raise BadArgument(
                f"{text!r} is {a.tolist()[:5]}... to the tokenizer of {init}, but {b.tolist()[:5]}... to that of the "
                "shards: build the shards with its tokenizer"
            )


def _matched(built: Any, model: ModelSettings, init: str, weights: Weights) -> list[tuple[torch.nn.Parameter, str]]:
    """Each parameter with the name of its tensor, of the same shape. Raises BadArgument for tensors that are missing,
    left over, quantised or of another shape."""
    names: dict[torch.nn.Parameter, list[str]] = {}
    for name, parameter in built.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    matched = []
    for parameter, aliases in names.items():
        found = [name for name in aliases if name in weights]
        if not found:
            raise BadArgument(f"{init} has no tensor {aliases[0]}, which this {model.title} needs: check [model]")
        weights.require_numbers(found[0])
        shape = weights.shape(found[0])
        if shape != tuple(parameter.shape):
            raise BadArgument(
                f"{found[0]} is {list(shape)} in {init}, but {list(parameter.shape)} in this {model.title}: make "
                "[model] as that model is"
            )
        matched.append((parameter, found[0]))
    known = {name for aliases in names.values() for name in aliases}
    left = [name for name in weights if name not in known]
    if left:
        raise BadArgument(
            f"{init} has {len(left)} tensors that this {model.title} lacks, such as {left[0]}: make [model] as that "
            "model is"
        )
    return matched
