"""tamiz upload"""

from __future__ import annotations

from pathlib import Path

import click

from corpora.errors import DamagedFile
from tamiz.console import progress, say, size, table, warn
from tamiz.hub.folder import Publication, RepoType
from tamiz.hub.names import check_branch, check_repository
from tamiz.hub.plan import Plan
from tamiz.options import FolderPath

SHOWN = 20  # files of a --dry-run, and of what is left out


@click.command()
@click.argument("folder", type=FolderPath())
@click.option("--repo", required=True, metavar="OWNER/NAME", help="The repository. It is made if there is none.")
@click.option(
    "--type",
    "repo_type",
    type=click.Choice(["dataset", "model"]),
    help="Of the repository: FOLDER's kind decides; of a run, `model` takes its model alone.",
)
@click.option("--private", is_flag=True, help="Make the repository private, if it is made.")
@click.option(
    "--revision", default="main", show_default=True, metavar="BRANCH", help="Made from main if there is none."
)
@click.option("--dry-run", is_flag=True, help="Only list what would be published. Needs no network.")
@click.option("--overwrite-card", is_flag=True, help="Replace README.md even if someone edited it on the Hub.")
def command(
    folder: Path,
    repo: str,
    repo_type: RepoType | None,
    private: bool,
    revision: str,
    dry_run: bool,
    overwrite_card: bool,
) -> None:
    """Publish FOLDER on the Hugging Face Hub: all of it in one commit, or nothing.

    FOLDER is the output of `tamiz sample`, `score`, `shards build` (datasets), `tokenizer train`, `train`, `export`
    (models) or `run`. A run becomes a dataset: its sample, shards, tokenizer, model, page and recipe; with
    `--type model`, a model of its model alone, which `from_pretrained("OWNER/NAME")` loads.

    FOLDER is checked first. Only what its manifests name is published, and a card: no logs, checkpoints or rejected
    rows. What is there already isn't sent again, and files of an earlier upload that are gone here are deleted there.
    If it is interrupted, nothing is visible; the same command sends the rest. The token is that of `hf auth login`,
    or HF_TOKEN.
    """
    check_repository(repo)
    check_branch(revision)
    found = _publication(folder, repo_type)
    say(f"{found.kind} {found.folder} -> {found.repo_type} {repo}: {_files(len(found.items))}, {size(found.bytes)}")
    _say_left_out(found)
    if dry_run:
        _show(found)
        return
    _publish(found, repo, revision, private=private, overwrite_card=overwrite_card)


def _publication(folder: Path, repo_type: RepoType | None) -> Publication:
    """What is published, after all checks that need no network."""
    from tamiz.cards.check import problems
    from tamiz.hub import limits, private
    from tamiz.hub.folder import publication, without
    from tamiz.hub.record import CARD

    found = publication(folder, repo_type)
    for path, address in private.found_in(found.items, found.folder).items():
        if path == private.PAGE:
            found = without(found, path, f"names a folder of this machine ({address})")
        else:
            warn(f"{path} names a folder of this machine, and is published as it is: {address}")
    for line in limits.check(found.items):
        warn(line)
    card = next(each.source for each in found.items if each.path == CARD)
    text = card if isinstance(card, bytes) else card.read_bytes()
    wrong = problems(text.decode(errors="replace"), found.repo_type)
    if wrong:
        raise DamagedFile(f"{found.folder / CARD}: the Hub won't take it: {'; '.join(wrong)}")
    return found


def _files(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"


def _say_left_out(found: Publication) -> None:
    for path, (num_bytes, why) in [*found.left_out.items()][:SHOWN]:
        say(f"  left out: {path} ({size(num_bytes)}): {why}")
    if len(found.left_out) > SHOWN:
        say(f"  left out: {len(found.left_out) - SHOWN} more")


def _show(found: Publication) -> None:
    items = sorted(found.items, key=lambda each: each.path)
    rows = [(each.path, f"{each.bytes:,}") for each in items[:SHOWN]]
    if len(items) > SHOWN:
        rest = items[SHOWN:]
        rows.append((f"and {len(rest):,} more", f"{sum(each.bytes for each in rest):,}"))
    table("What would be published", ("file", "bytes"), [*rows, ("in all", f"{found.bytes:,}")])
    say("The card is as the Hub wants it. Nothing was sent: what is there already is known only online.")


def _publish(found: Publication, repo: str, revision: str, *, private: bool, overwrite_card: bool) -> None:
    from tamiz.hub.session import publish_folder

    def planned(plan: Plan) -> None:
        for path in plan.edited:
            flag = "; --overwrite-card replaces it" if path == "README.md" else ""
            warn(f"{path} was changed on the Hub, and stays as it is there{flag}")
        if plan.operations:
            gone = f"; {len(plan.delete)} of an earlier upload to delete" if plan.delete else ""
            say(f"to send: {_files(len(plan.send))}, {size(plan.bytes)}; {plan.there} there already{gone}")

    with progress("upload") as bar:

        def done(number: int, total: int) -> None:
            bar.label = bar.text = f"upload, {size(number)} of {size(total)}"
            bar(number, total)

        def waits(said: str) -> None:
            bar.text, bar.share = f"upload: waiting for the Hub ({said})", None
            bar.show()

        flags = {"private": private, "overwrite_card": overwrite_card}
        page, outcome = publish_folder(found, repo, revision, **flags, planned=planned, done=done, waits=waits)
    branch = "" if revision == "main" else f", branch {revision}"
    if outcome.first.operations:
        say(f"published: {page}{branch} (commit {outcome.commit[:12]})")
    else:
        say(f"{page}{branch} has all of it already: no commit")
