"""Tokenizers that a recipe brings: a folder, GPT-2's two files, `byt5`, or a tokenizer of the Hugging Face Hub.

A folder with tokenizer.json is used where it lies. From all others, the stage makes such a folder in OUT/tokenizer,
because a trained model is saved with its tokenizer.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from corpora import files, manifest
from corpora.encoding.gpt2.files import find_files, tokenizer_json
from corpora.errors import BadArgument, TamizError
from corpora.locks import locked
from corpora.manifest import InputIdentity, MadeFrom
from tamiz.console import count, say
from tamiz.recipes.schema import DEMO, DEMO_PREFIX
from tamiz.stages.common import Context, StageReport

ALGORITHM = 1
BYT5 = "byt5"
END_OF_TEXT = "<|endoftext|>"
FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "spiece.model",
    "vocab.json", "merges.txt",
)  # fmt: skip
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def located(file: str) -> str:
    """The name or path, where `demo:` stands for the folder of the demos' files."""
    return str(DEMO / file.removeprefix(DEMO_PREFIX)) if file.startswith(DEMO_PREFIX) else file


def is_of_hub(file: str) -> bool:
    """Whether a name is that of a repository of the Hub: OWNER/NAME, and no path of this machine."""
    return _HUB_NAME.fullmatch(file) is not None and not Path(file).exists() and Path(file).suffix != ".json"


def becomes_folder(file: str) -> bool:
    """Whether the stage makes a folder of its own from what is brought."""
    path = Path(located(file))
    if path.is_dir():
        return not (path / "tokenizer.json").is_file() and find_files(path) is not None
    return not path.exists() and (file == BYT5 or is_of_hub(file))


def check(file: str, out: Path) -> None:
    """Raises BadArgument, DamagedFile or TamizError if the tokenizer can't be used; fetches one of the Hub."""
    from corpora.encoding import load_encoder
    from corpora.verify import check_intact

    if not _is_made(file, out):
        source = fetched(file)
        check_intact(Path(source))
        load_encoder(source)


def brought_stage(file: str, out: Path, context: Context) -> StageReport:
    """Makes sure that `out` holds the folder, if one is made; loads the tokenizer to check it."""
    if not becomes_folder(file):
        return _report("finished", located(file), Path(located(file)))
    with locked(out, "tokenizer"):
        if context.rebuild or not _is_made(file, out):
            source = Path(fetched(file))
            made_from = MadeFrom(
                stage="tokenizer", algorithm=ALGORITHM, settings={"file": _said(file)}, inputs=_identities(source)
            )
            state = manifest.begin(out, made_from, rebuild=context.rebuild)
            if state != "finished":
                _finish(source, out)
        else:
            state = "finished"
    return _report(state, str(out), out)


def fetched(file: str) -> str:
    """The path of what is brought, downloaded if it is of the Hub; or `byt5`.

    Raises TamizError if the Hub can't be reached and holds no copy here.
    """
    if not becomes_folder(file) or not is_of_hub(file):
        return located(file)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    say(f"  fetching the tokenizer {file} of the Hugging Face Hub")
    try:
        return str(snapshot_download(file, allow_patterns=list(FILES)))
    except RepositoryNotFoundError:
        raise BadArgument(
            f"tokenizer.file is {file!r}: no such file here, and no such repository on the Hub"
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        folder = file.rpartition("/")[2]
        raise TamizError(
            f"the tokenizer {file} can't be fetched ({type(error).__name__}): download it where there is a network, "
            f"with `hf download {file} --local-dir {folder}`, and give --set tokenizer.file={folder}"
        ) from None


def _said(file: str) -> str:
    """What the manifest names: a folder's content is told by its files, so its path doesn't matter."""
    return file if file == BYT5 or is_of_hub(file) else "files"


def _is_made(file: str, out: Path) -> bool:
    """Whether OUT was finished from this name before. A folder of files is looked at again: it may have changed."""
    if not manifest.is_tamiz_folder(out) or _said(file) == "files":
        return False
    made = manifest.read(out)
    return made.finished and made.made_from.stage == "tokenizer" and made.made_from.settings == {"file": file}


def _identities(source: Path) -> list[InputIdentity]:
    paths = [source / name for name in (*FILES, "encoder.json", "vocab.bpe")]
    return [manifest.local_identity(path, path.name) for path in paths if path.is_file()]


def _finish(source: Path, out: Path) -> None:
    from corpora.encoding import load_encoder

    names = _write(source, out)
    encoder = load_encoder(str(out))
    facts = {"kind": "brought", "sha256": encoder.sha256, "vocab_size": encoder.vocab_size}
    manifest.finish(out, records=[manifest.record(out, out / name) for name in names], facts=facts)


def _write(source: Path, out: Path) -> list[str]:
    """Writes a folder that AutoTokenizer loads; returns the files' names."""
    from tokenizer_train.bytes import export_google_bytes
    from tokenizer_train.export import as_json, write_files

    if str(source) == BYT5:
        return export_google_bytes(out)
    if (source / "tokenizer.json").is_file():
        names = [name for name in FILES if (source / name).is_file()]
        for name in names:
            with files.atomic_path(out / name) as temporary:
                shutil.copyfile(source / name, temporary)
        return names
    found = find_files(source)
    if found is None:
        raise BadArgument(
            f"{source} has neither tokenizer.json nor vocab.json with merges.txt: load it with AutoTokenizer, save "
            "it with save_pretrained, and name the saved folder in tokenizer.file"
        )
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
    return write_files(out, {"tokenizer.json": tokenizer_json(*found), "tokenizer_config.json": as_json(config)})


def _report(state: manifest.State, tokenizer: str, folder: Path) -> StageReport:
    from corpora.encoding import load_encoder

    encoder = load_encoder(tokenizer)
    rows = [("existing, sha256", encoder.sha256[:16] + "…"), ("ids", count(encoder.vocab_size))]
    return StageReport("tokenizer", state, folder, rows)
