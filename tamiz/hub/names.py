"""Names that the Hub takes: of repositories, and of branches, which are git's. Checked before anything is sent."""

from __future__ import annotations

import re

from corpora.errors import BadArgument

LONGEST_REPOSITORY = 96  # characters, the owner's included
LONGEST_BRANCH = 250  # bytes: git writes a file of that name and `.lock`, which has 255 at most
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
# git-check-ref-format(1); a leading `-` and HEAD are what `git branch` refuses besides
_NO_BRANCH = re.compile(r"[ ~^:?*\[\\]|\.\.|@\{|//|(?:^|/)\.|\.lock(?:/|$)|^[-/]|[/.]$|^(?:@|HEAD)?$")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_repository(name: str) -> None:
    """Raises BadArgument for what isn't OWNER/NAME."""
    if not _REPOSITORY.fullmatch(name) or len(name) > LONGEST_REPOSITORY or re.search(r"--|\.\.|\.git$", name):
        raise BadArgument(f"--repo {name}: a name on the Hub is OWNER/NAME, such as my-team/my-corpus")


def check_branch(name: str) -> None:
    """Raises BadArgument for what no branch can be called, and for other revisions: nothing is published on them."""
    if name.startswith("refs/"):
        raise _refusal(name, "is a reference, such as a pull request's, and no branch")
    if _COMMIT.fullmatch(name):
        raise _refusal(name, "is a commit, which never changes, and no branch")
    if not name.isprintable() or _NO_BRANCH.search(name):
        raise _refusal(name, "has what git allows in no branch's name")
    if len(name.encode()) > LONGEST_BRANCH:
        raise _refusal(f"{name[:20]}…", f"has more than {LONGEST_BRANCH} bytes")


def _refusal(name: str, why: str) -> BadArgument:
    return BadArgument(f"--revision {name!r} {why}: name a branch of letters, digits, `-` and `_`, such as main")
