"""Publishes a folder with huggingface_hub set up for it: time-outs, quiet, a token before the first request."""

from __future__ import annotations

import logging
from collections.abc import Callable

from corpora.errors import TamizError
from corpora.hub.client import sendable
from tamiz.hub import progress
from tamiz.hub.calls import Patience, no_token, set_time_outs
from tamiz.hub.contents import Contents
from tamiz.hub.folder import Publication
from tamiz.hub.plan import Plan
from tamiz.hub.publish import Bounds, Outcome, publish
from tamiz.hub.remote import Repository

TIME_OUT = 120.0  # seconds without a byte; the Hub gives a commit 60


def publish_folder(
    found: Publication,
    repo: str,
    revision: str,
    *,
    private: bool,
    overwrite_card: bool,
    planned: Callable[[Plan], None],
    done: Callable[[int, int], None],
    waits: Callable[[str], None],
) -> tuple[str, Outcome]:
    """Returns the address of the repository's page. planned, done, waits: see `publish`, `Contents` and
    `Patience.told`."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.utils.logging import set_verbosity
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if constants.is_offline_mode():
        raise TamizError("HF_HUB_OFFLINE is set, so nothing can be published: unset it, or pass --dry-run")
    if sendable(get_token()) is None:
        raise no_token()
    disable_progress_bars()
    set_verbosity(logging.ERROR)  # its warnings name addresses that may be signed
    repository = Repository(repo, found.repo_type, revision, Patience(told=waits))
    contents = Contents(repository, done)

    def expect(plan: Plan) -> None:
        contents.expect(plan.bytes)
        planned(plan)

    set_time_outs(TIME_OUT, progress.on_request(contents.hear))
    repository.prepare(private=private)
    message = f"{found.kind.capitalize()} by tamiz"
    outcome = publish(
        repository, found.items, message, contents, overwrite_card=overwrite_card, bounds=Bounds(), planned=expect
    )
    return repository.page, outcome
