"""What the Hub's refusals mean, in one line each with the remedy. Such answers don't pass by trying again."""

from __future__ import annotations

from collections.abc import Mapping

from corpora.errors import BadArgument, TamizError
from corpora.hub.address import Repository

_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


class NotThere(BadArgument):
    """A repository has no such file or folder."""


class NoRepository(BadArgument):
    """The Hub has no such repository, or doesn't show it."""


def refusal(
    status: int, headers: Mapping[str, str], repository: Repository, what: str, *, with_token: bool
) -> TamizError:
    """The error for an answer of 400 to 499 on `what` (as in "read x"): by the Hub's own code, else by the status."""
    page = f"its page https://huggingface.co/{repository.page}"
    match headers.get("x-error-code", ""):
        case "GatedRepo":
            return gated(repository)
        case "RevisionNotFound":
            return BadArgument(f"can't {what}: {repository} has no such revision; its branches are on {page}")
        case "EntryNotFound":
            return NotThere(f"can't {what}: there is no such file in {repository}")
        case "RepoNotFound" if not (status == 401 and _is_bad_token(headers, with_token)):
            return _missing(repository, what, with_token)
    if status == 401 and with_token:
        return TamizError(f"can't {what}: the Hub doesn't accept the token: {_LOG_IN} again, with a valid one")
    if status in (401, 404):
        return _missing(repository, what, with_token)
    if status == 403:
        remedy = "ask its owners, or use a token that may read it" if with_token else _LOG_IN
        return TamizError(f"can't {what}: the Hub doesn't allow it (403): {remedy}")
    return TamizError(f"can't {what}: the Hub refuses the request ({status})")


def _is_bad_token(headers: Mapping[str, str], with_token: bool) -> bool:
    said = headers.get("x-error-message", "").lower()
    return with_token and "invalid" in said and ("credential" in said or "token" in said)


def _missing(repository: Repository, what: str, with_token: bool) -> TamizError:
    private = "use a token that may read it" if with_token else _LOG_IN
    return NoRepository(f"can't {what}: the Hub has no {repository.kind.removesuffix('s')} {repository.name}, or "
                        f"it is private: correct the name; for a private one, {private}")  # fmt: skip


def gated(repository: Repository) -> TamizError:
    return TamizError(
        f"{repository} is gated: ask for access on its page https://huggingface.co/{repository.page}, then {_LOG_IN}"
    )
