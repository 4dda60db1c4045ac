"""Checks the account of shards for consistency with settings and rows: ids in = ids in rows + ids left over."""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET

from corpora.errors import DamagedFile
from corpora.home import Home, Place, exists
from corpora.manifest import Manifest
from corpora.tokens.facts import PartAccount, ShardFacts, SplitAccount, facts_of
from corpora.tokens.objectives import OBJECTIVES, objective_of
from corpora.tokens.shards import read_groups

SUMMED = ("documents", "ids", "separators", "rows", "row_ids")
SETTINGS = ("tokenizer_sha256", "objective", "packing", "seed", "sequence_length", "window_groups")


def bad_account(home: Place, content: Manifest) -> list[str]:
    """Problems of the account in a manifest of shards, one line each. Counts the rows' ids again."""
    if "parts" not in content.facts:
        return [f"{home}: an older tamiz built these shards: their account can't be recomputed; build them again"]
    try:
        facts = facts_of(home, content)
        objective_of(home, facts)
    except DamagedFile as error:
        return [str(error)]
    accounts = {} if facts.account is UNSET else facts.account
    parts = {} if facts.parts is UNSET else facts.parts
    if set(accounts) != set(parts):
        return [f"{home}: the account has the splits {sorted(accounts)}, the parts have {sorted(parts)}"]
    expected = len(content.items) + 1  # one per input item, and the last part with the ids left over
    problems = [
        f"{home}: {split} has {len(listed)} parts, but {len(content.items)} items make {expected}"
        for split, listed in parts.items()
        if len(listed) != expected
    ]
    if problems:
        return problems
    problems = _other_settings(home, content) + _other_documents(home, accounts, content)
    named = {record.path for record in content.files}
    for split, account in accounts.items():
        problems += _bad_split(f"{home}: {split}", account, parts[split])
        if facts.rows.get(split) != account.rows:
            problems.append(
                f"{home}: {split}: there are {facts.rows.get(split)} rows, the account says {account.rows}"
            )
        for part in parts[split]:
            problems += _bad_part(home, split, part, facts, named)
    return problems


def row_ids(path: Path | str, facts: ShardFacts) -> int:
    """The number of stream ids in a shard's rows, counted again.

    Raises DamagedFile if the file can't be read, lacks a column or has a row that the facts don't allow.
    """
    objective, total = OBJECTIVES.get(facts.objective), 0
    for columns in read_groups(path):
        try:
            total += objective.recount(columns, facts)
        except KeyError as missing:
            raise DamagedFile(f"{path} has no column {missing}: build the shards again") from None
        except ValueError as error:
            raise DamagedFile(f"{path}: {error}; build the shards again") from None
    return total


def _other_settings(home: Place, content: Manifest) -> list[str]:
    """Problems where facts differ from the settings that they repeat, which the fingerprint covers."""
    known = content.made_from.settings
    return [
        f"{home}: {key} is {content.facts.get(key)!r}, but {known[key]!r} in the settings"
        for key in SETTINGS
        if key in known and content.facts.get(key) != known[key]
    ]


def _other_documents(home: Place, accounts: dict[str, SplitAccount], content: Manifest) -> list[str]:
    documents, kept = sum(split.documents for split in accounts.values()), content.counts.get("kept")
    return [] if documents == kept else [f"{home}: the splits have {documents} documents, {kept} were kept"]


def _bad_split(where: str, account: SplitAccount, parts: list[PartAccount]) -> list[str]:
    problems = _unbalanced(where, account.ids + account.separators, account.row_ids + account.remainder)
    for name in SUMMED:
        value, total = getattr(account, name), sum(getattr(part, name) for part in parts)
        problems += [] if value == total else [f"{where}: {name} is {value}, but its parts add up to {total}"]
    return problems


def _bad_part(home: Place, split: str, part: PartAccount, facts: ShardFacts, named: set[str]) -> list[str]:
    problems = _unbalanced(
        f"{home}: {split}, {part.file}", part.ids + part.separators + part.carried, part.row_ids + part.left_over
    )
    if part.file is None:
        return problems + ([f"{home}: {split}: a part of {part.rows} rows names no file"] if part.rows else [])
    path = Home.of(home).at(part.file)
    if part.file not in named:
        return [*problems, f"{home}: {split}: {part.file} is not among the manifest's files"]
    if not exists(path):
        return problems  # the check of files reports this
    try:
        counted = row_ids(path, facts)
    except DamagedFile as error:
        return [*problems, str(error)]
    return problems + (
        [] if counted == part.row_ids else [f"{path}: its rows hold {counted} ids, not {part.row_ids}"]
    )


def _unbalanced(where: str, ids_in: int, ids_out: int) -> list[str]:
    return [] if ids_in == ids_out else [f"{where}: {ids_in} ids in, {ids_out} ids out"]
