"""The tokenizer of a trained model: a copy whose BOS and EOS are those of the rows that the model has read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import UNSET

from corpora import files
from corpora.tokens.facts import ShardFacts
from tamiz.trainer.brought_tokenizer import is_brought, write_brought
from tamiz.trainer.inputs import tokenizer_files


class Around(NamedTuple):
    """The ids around a text; None: no id."""

    bos: int | None
    eos: int | None


def copy_tokenizer(folder: Path, out: Path, facts: ShardFacts, *, masked: bool) -> None:
    """Copies the tokenizer's files. AutoTokenizer then puts BOS before a text if the rows have it before documents,
    and EOS after it if rows end with EOS (masked); after a text to be continued, EOS would say that it is complete.

    Files that say so already are copied unchanged, except that BPE dropout is removed.
    """
    if is_brought(folder):
        write_brought(folder, out)
    else:
        for path in tokenizer_files(folder):
            shutil.copyfile(path, out / path.name)
    from tokenizers import Tokenizer

    has_bos = facts.separator is not UNSET and "BOS (" in facts.separator
    bos_id = facts.bos_id if has_bos and facts.bos_id is not UNSET else None
    wanted = Around(bos_id, facts.eos_id if masked else None)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    dropout = getattr(tokenizer.model, "dropout", None)
    if dropout is not None:  # the rows were encoded without
        tokenizer.model.dropout = None
    changed = not _has(tokenizer, wanted)
    if changed:
        tokenizer.post_processor = _processor(tokenizer, wanted)
    if changed or dropout is not None:
        files.write_bytes(out / "tokenizer.json", tokenizer.to_str().encode())
    _set_flags(out / "tokenizer_config.json", wanted, changed=changed)


def _has(tokenizer: Any, wanted: Around) -> bool:
    plain, whole = (tokenizer.encode("a", add_special_tokens=with_special).ids for with_special in (False, True))
    before, after = ([] if number is None else [number] for number in wanted)
    return bool(whole == [*before, *plain, *after])


def _processor(tokenizer: Any, wanted: Around) -> Any:
    from tokenizers import processors

    before, after = (None if number is None else tokenizer.id_to_token(number) for number in wanted)
    special = [(token, number) for token, number in zip((before, after), wanted, strict=True) if token is not None]
    if not special:
        return processors.Sequence([])
    single = [token for token in (before, "$A", after) if token is not None]
    pair = [token for token in (before, "$B:1", after) if token is not None]
    return processors.TemplateProcessing(single=single, pair=[*single, *pair], special_tokens=special)


def _set_flags(path: Path, wanted: Around, *, changed: bool) -> None:
    """Where the config has these flags, AutoTokenizer obeys them, not tokenizer.json."""
    config = json.loads(path.read_bytes()) if path.is_file() else {}
    flags = {"add_bos_token": wanted.bos is not None, "add_eos_token": wanted.eos is not None}
    present = flags.keys() & config.keys()
    if changed or (present and any(bool(config.get(key)) != flag for key, flag in flags.items())):
        files.write_bytes(path, json.dumps({**config, **flags}, indent=2).encode() + b"\n")
