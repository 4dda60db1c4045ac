"""Tokenizers that a recipe brings: files of this machine, those of the demos, `byt5`, or one of the Hugging Face Hub.

Files are used where they lie. One of the Hub (OWNER/NAME, OWNER/NAME@REVISION) is downloaded and copied to
OUT/tokenizer, so that the run doesn't depend on the Hub any more.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from corpora import files, manifest
from corpora.copies import local_folder, local_tokenizer
from corpora.errors import BadArgument, DamagedFile, Unreachable
from corpora.home import Home, Place
from corpora.locks import locked
from corpora.manifest import MadeFrom
from tamiz.console import count, say
from tamiz.recipes.schema import DEMO, DEMO_PREFIX
from tamiz.stages.common import Context, StageReport

ALGORITHM = 1
FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "spiece.model",
    "tokenizer.model", "vocab.json", "merges.txt",
)  # fmt: skip
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


def is_of_hub(file: str) -> bool:
    """Whether a name is that of a repository of the Hub, and no path of this machine."""
    is_file = Path(file).exists() or Path(file).suffix in (".json", ".model")
    return _HUB_NAME.fullmatch(file) is not None and not is_file


def located(file: str, out: Place) -> str:
    """A name or path that `load_encoder` takes. out: the folder of the stage, for one of the Hub."""
    if file.startswith(DEMO_PREFIX):
        return str(DEMO / file.removeprefix(DEMO_PREFIX))
    return str(out) if is_of_hub(file) else file


def check(file: str, out: Place) -> None:
    """Raises BadArgument, DamagedFile or TamizError if the tokenizer can't be used; fetches one of the Hub."""
    from corpora.encoding import load_encoder
    from corpora.verify import check_intact

    if is_of_hub(file):
        source = local_folder(out) if _is_intact_copy(file, out) else _fetched(file)
    else:
        source = Path(located(file, out))
        check_intact(source)
    load_encoder(str(source))


def brought_stage(file: str, out: Place, context: Context) -> StageReport:
    """Makes sure that `out` holds a tokenizer of the Hub; loads any other to check it."""
    from corpora.encoding import load_encoder

    state: manifest.State = _copied(file, out, context) if is_of_hub(file) else "finished"
    folder = located(file, out)
    encoder = load_encoder(local_tokenizer(folder))
    rows = [("existing, sha256", encoder.sha256[:16] + "…"), ("ids", count(encoder.vocab_size))]
    return StageReport("tokenizer", state, Home.of(folder), rows)


def _copied(file: str, out: Place, context: Context) -> manifest.State:
    """What is finished isn't looked for on the Hub again."""
    from corpora.encoding import load_encoder

    with locked(out, "tokenizer"):
        if not context.rebuild and _is_intact_copy(file, out):
            return "finished"
        source = _fetched(file)
        found = [source / name for name in FILES if (source / name).is_file()]
        inputs = [manifest.local_identity(path, path.name) for path in found]
        made_from = MadeFrom(stage="tokenizer", algorithm=ALGORITHM, settings={"file": file}, inputs=inputs)
        state = manifest.begin(out, made_from, rebuild=context.rebuild)
        with Home.of(out).filled() as folder:
            for path in found:
                with files.atomic_path(folder / path.name) as temporary:
                    shutil.copyfile(path, temporary)
            encoder = load_encoder(str(folder))
            records = [manifest.record(folder, folder / path.name) for path in found]
        facts = {"kind": "brought", "sha256": encoder.sha256, "vocab_size": encoder.vocab_size}
        manifest.finish(out, records=records, facts=facts, made_from=made_from)
    return state


def _is_intact_copy(file: str, out: Place) -> bool:
    """Whether OUT has been finished from this name. Raises DamagedFile if it is no longer what it was."""
    from corpora.verify import verify

    if not manifest.is_tamiz_folder(out):
        return False
    made = manifest.read(out)
    if not made.finished or made.made_from.stage != "tokenizer" or made.made_from.settings != {"file": file}:
        return False
    problems = verify(out)[1]
    if problems:
        raise DamagedFile(f"{problems[0]}; --rebuild fetches the tokenizer {file} again")
    return True


def _fetched(file: str) -> Path:
    """The folder of a repository's files, downloaded if it isn't in the Hub's cache on this machine.

    Raises Unreachable if the Hub can't be reached, BadArgument if it has no such repository, DamagedFile if a file of
    the cache isn't what was fetched.
    """
    from corpora.hub.snapshot import check_cached, model_snapshot

    name, _, revision = file.partition("@")
    say(f"  the tokenizer {file} of the Hugging Face Hub")
    try:
        return model_snapshot(name, revision or None, lambda there: [path for path in FILES if path in there])
    except BadArgument as error:
        raise BadArgument(f"tokenizer.file is {file!r}, no path here; and {error}") from None
    except Unreachable as error:
        cached = _cached(name, revision or None)
        if cached is not None:
            check_cached(cached)
            return cached
        folder = name.rpartition("/")[2]
        raise Unreachable(
            f"tokenizer.file is {file!r}, no path here; and {error}; or, where there is a network, "
            f"`hf download {name} --local-dir {folder}`; then give --set tokenizer.file={folder}"
        ) from None


def _cached(name: str, revision: str | None) -> Path | None:
    """The folder in the Hub's cache on this machine."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
