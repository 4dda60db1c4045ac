"""Holds the account of shards against itself, the settings and the rows: ids in = ids in rows + ids left over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from corpora.errors import DamagedFile
from corpora.manifest import Manifest

SUMMED = ("documents", "ids", "separators", "rows", "row_ids")
SETTINGS = ("tokenizer_sha256", "objective", "packing", "seed", "sequence_length", "window_groups")


class _Split(msgspec.Struct):
    documents: int
    ids: int
    separators: int
    rows: int
    row_ids: int
    remainder: int


class _Part(msgspec.Struct):
    file: str | None
    documents: int
    ids: int
    separators: int
    carried: int
    rows: int
    row_ids: int
    left_over: int

    def balance(self, where: str) -> list[str]:
        into, out = self.ids + self.separators + self.carried, self.row_ids + self.left_over
        return [] if into == out else [f"{where}: {into} ids in, {out} ids out"]


class _Sentinels(msgspec.Struct):
    first: int
    step: int
    count: int


class _Facts(msgspec.Struct):
    objective: str
    vocab_size: int
    pad_id: int
    eos_id: int
    sentinel_ids: _Sentinels | None
    rows: dict[str, int]
    account: dict[str, _Split]
    parts: dict[str, list[_Part]]


def bad_account(home: Path, content: Manifest) -> list[str]:
    """What is wrong with the account in a manifest of shards, one line each; the rows' ids are counted again."""
    if "parts" not in content.facts:
        return [f"{home}: an older tamiz built these shards: its account can't be counted again; build them anew"]
    try:
        facts = msgspec.convert(content.facts, _Facts)
    except msgspec.ValidationError as error:
        return [f"{home}: the manifest's facts are damaged ({error}): build the shards again"]
    if set(facts.account) != set(facts.parts):
        return [f"{home}: the account is of {sorted(facts.account)}, the parts are of {sorted(facts.parts)}"]
    for split, parts in facts.parts.items():
        if len(parts) != len(content.items) + 1:  # one an input item, and the last, of what these left over
            return [
                f"{home}: {split} has {len(parts)} parts, but there are {len(content.items)} items and one part more"
            ]
    problems = _other_settings(home, content) + _other_documents(home, facts, content)
    named = {record.path for record in content.files}
    for split, account in facts.account.items():
        problems += _bad_split(f"{home}: {split}", split, account, facts)
        for part in facts.parts[split]:
            problems += _bad_part(home, split, part, content.facts, named)
    return problems


def _other_settings(home: Path, content: Manifest) -> list[str]:
    """The fingerprint is of the settings: facts that repeat them must agree."""
    known = content.made_from.settings
    return [
        f"{home}: {key} is {content.facts.get(key)!r}, in the settings {known[key]!r}"
        for key in SETTINGS
        if key in known and content.facts.get(key) != known[key]
    ]


def _other_documents(home: Path, facts: _Facts, content: Manifest) -> list[str]:
    documents, kept = sum(split.documents for split in facts.account.values()), content.counts.get("kept")
    return [] if documents == kept else [f"{home}: the splits have {documents} documents, {kept} were kept"]


def _bad_split(where: str, split: str, account: _Split, facts: _Facts) -> list[str]:
    parts = facts.parts[split]
    whole = {name: getattr(account, name) for name in SUMMED}
    problems = _Part(file=None, carried=0, left_over=account.remainder, **whole).balance(where)
    for name, value in whole.items():
        own = sum(getattr(part, name) for part in parts)
        problems += [] if value == own else [f"{where}: {name} is {value}, its parts' {own}"]
    if facts.rows.get(split) != account.rows:
        problems.append(f"{where}: there are {facts.rows.get(split)} rows, the account says {account.rows}")
    return problems


def _bad_part(home: Path, split: str, part: _Part, facts: dict[str, Any], named: set[str]) -> list[str]:
    from corpora.tokens.recount import row_ids

    problems = part.balance(f"{home}: {split}, {part.file}")
    if part.file is None:
        return problems + ([f"{home}: {split}: a part of {part.rows} rows names no file"] if part.rows else [])
    path = home / part.file
    if part.file not in named:
        return [*problems, f"{home}: {split}: {part.file} is not among the manifest's files"]
    if not path.is_file():
        return problems  # told already
    try:
        counted = row_ids(path, facts)
    except DamagedFile as error:
        return [*problems, str(error)]
    return problems + (
        [] if counted == part.row_ids else [f"{path}: its rows hold {counted} ids, not {part.row_ids}"]
    )
