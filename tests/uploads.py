"""Uploads to a loopback Hub: clients of this process, or of one that can be killed, and small folders to publish."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from corpora import manifest
from corpora.manifest import MadeFrom
from tamiz.hub.calls import Patience
from tamiz.hub.publish import Bounds
from tests.loopback_hub import LoopbackHub

CARD = '---\nlicense: apache-2.0\ntags: ["tamiz"]\n---\n\n# An export\n'
TIME_OUT = 0.4  # seconds
USUAL = Bounds()
_PRELOADED = [
    "tests.uploads", "tamiz.cli", "tamiz.commands.upload", "tamiz.hub.session", "tamiz.hub.private",
    "tamiz.hub.limits", "tamiz.cards.folder", "tamiz.cards.check", "huggingface_hub._commit_api",
]  # fmt: skip


def output(folder: Path, contents: Mapping[str, bytes], stage: str = "export") -> Path:
    """A finished folder, as a stage leaves it. Called again, the same folder with other files."""
    made_from = MadeFrom(stage=stage, algorithm=1, settings={"files": sorted(contents)}, inputs=[])
    manifest.begin(folder, made_from, rebuild=folder.exists())
    contents = {"README.md": CARD.encode(), **contents}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    manifest.finish(folder, records=[manifest.record(folder, folder / name) for name in contents])
    return folder


def contents(seed: int, number: int = 6, size: int = 20_000) -> dict[str, bytes]:
    """Files that the Hub keeps outside of git, and two that it keeps in it."""
    made = random.Random(seed)
    large = {f"weights/part-{n}.bin": made.randbytes(size) for n in range(number)}
    return {**large, "config.json": json.dumps({"seed": seed}).encode(), "words.txt": f"uno {seed}\n".encode()}


def local(folder: Path) -> dict[str, bytes]:
    """What is published of a folder that `output` made."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def remote(hub: LoopbackHub, name: str, kind: str = "model", revision: str = "main") -> dict[str, bytes]:
    """What is there, but for the record of uploads."""
    there = hub.files(kind, name, revision)
    there.pop(".tamiz-upload.json", None)
    return there


def put_bytes(hub: LoopbackHub) -> int:
    """Bytes that travelled on the LFS way and arrived."""
    return sum(each.length for each in hub.requests if each.route == "lfs_put" and each.status == 200)


@contextlib.contextmanager
def client(hub: LoopbackHub, *, patience: float = 4.0, bounds: Bounds = USUAL, **more: str) -> Iterator[None]:
    """In this process, huggingface_hub talks to `hub`, hardly waits between tries, and soon gives up."""
    from huggingface_hub import constants

    environment = {"HF_XET_CLIENT_READ_TIMEOUT": "300ms", "HF_XET_CLIENT_RETRY_BASE_DELAY": "10ms"}
    environment |= {**hub.environment(), **environment, **more}
    xet_off = "HF_HUB_DISABLE_XET" in environment
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, environment, clear=True))
        place = {
            "HF_HUB_OFFLINE": False,
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        }
        stack.enter_context(patch.multiple(constants, HF_HUB_DISABLE_XET=xet_off, **place))
        stack.enter_context(patch("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda _: None)))
        session = {"TIME_OUT": TIME_OUT, "Bounds": lambda: bounds}
        session["Patience"] = partial(Patience, seconds=patience, first_wait=0.01, most_wait=0.05)
        stack.enter_context(patch.multiple("tamiz.hub.session", **session))
        yield


class Doomed:
    """`tamiz upload` in a process of its own that is killed after `seconds`, or when the Hub has answered `requests`,
    or when it is done."""

    def __init__(
        self, hub: LoopbackHub, folder: Path, name: str, seconds: float, requests: int | None = None
    ) -> None:
        import multiprocessing

        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        arguments = ["upload", str(folder), "--repo", name]
        process = context.Process(target=_upload, args=(hub.url, hub.environment(), arguments))
        process.start()
        end = time.monotonic() + seconds
        while process.is_alive() and time.monotonic() < end and (requests is None or len(hub.requests) < requests):
            process.join(0.002)
        self.killed = process.is_alive()
        process.kill()
        process.join()
        self.code = process.exitcode


def _upload(url: str, environment: dict[str, str], arguments: list[str]) -> None:
    """In the other process, whose huggingface_hub was imported for no Hub in particular."""
    from huggingface_hub import constants

    from tamiz.cli import main

    os.environ.clear()
    os.environ.update(environment)
    constants.ENDPOINT = url
    constants.HUGGINGFACE_CO_URL_TEMPLATE = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    constants.HF_HUB_DISABLE_XET = "HF_HUB_DISABLE_XET" in environment
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        main(arguments)


def killed_uploads(hub: LoopbackHub, folder: Path, number: int, seed: int) -> Iterator[dict[str, object]]:
    """Kills `number` uploads of versions of a folder, each after a random number of answers of the Hub, and finishes
    each. Yields what was seen, also of those that were done before: `whole` if the repository always was the old or
    the new one, `twice` if a content travelled again that had arrived."""
    made = random.Random(seed)
    name = f"me/{folder.name}"
    hub.fault("lfs_put", "slow", times=10**6, seconds=0.05)
    hub.fault("xet_token", "slow", times=10**6, seconds=0.1)
    hub.create("model", name)
    Doomed(hub, output(folder, contents(-1)), name, 60)  # the first process waits for the imports
    hub.clear()
    Doomed(hub, output(folder, contents(seed, number=20)), name, 60)
    usual, killed = len(hub.requests), 0
    for n in range(10 * number):
        if killed == number:
            return
        seen = _killed_upload(hub, folder, seed + n + 1, made.randint(1, usual))
        killed += bool(seen["killed"])
        yield seen


def _killed_upload(hub: LoopbackHub, folder: Path, seed: int, requests: int) -> dict[str, object]:
    """What was seen of one version's upload."""
    name = f"me/{folder.name}"
    before, stored = remote(hub, name), hub.stored_bytes()
    output(folder, contents(seed, number=20))
    new = local(folder)
    hub.clear()
    doomed = Doomed(hub, folder, name, 60, requests)
    left = remote(hub, name)
    arrived = put_bytes(hub), hub.stored_bytes() - stored
    finished = Doomed(hub, folder, name, 60)
    whole = left in (before, new) and remote(hub, name) == new and finished.code == 0
    puts = [each.path.partition("?")[0] for each in hub.requests if each.route == "lfs_put" and each.status == 200]
    return {
        "after": requests,
        "killed": doomed.killed,
        "state": "new" if left == new else "old" if left == before else "between",
        "arrived": max(arrived),
        "sent": put_bytes(hub) or hub.stored_bytes() - stored,
        "whole": whole,
        "twice": len(puts) - len(set(puts)),
        "commits": len(hub.commits("model", name)),
    }


def rival_uploads(hub: LoopbackHub, folder: Path, number: int, seed: int) -> dict[str, int]:
    """Kills `number` uploads at random moments while another uploader of the same repository, with other versions, is
    never killed. Counts the commits, and those that are no version of either."""
    made = random.Random(seed)
    name, stop = f"me/{folder.name}", threading.Event()
    versions: list[dict[str, bytes]] = [{}]
    hub.create("model", name)
    codes: list[int | None] = []

    def upload(which: str, n: int, seconds: float) -> Doomed:
        place = output(folder / which, contents(n, number=4 + n % 3))
        versions.append(local(place))
        return Doomed(hub, place, name, seconds)

    def rival() -> None:
        n = 0
        while not stop.is_set():
            codes.append(upload("rival", 10**6 + n, 60).code)
            n += 1

    upload("own", -1, 60)
    other = threading.Thread(target=rival)
    other.start()
    killed = sum(upload("own", n, made.uniform(0.05, 3.0)).killed for n in range(number))
    stop.set()
    other.join()
    commits = [remote(hub, name, revision=each.sha) for each in hub.commits("model", name)]
    return {
        "killed": killed,
        "by the rival": len(codes),
        "commits": len(commits) - 1,
        "between": sum(each not in versions for each in commits),
        "failed": sum(code != 0 for code in codes),
    }
