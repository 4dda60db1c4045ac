"""What an output folder was made from: its inputs, settings, algorithm; and the fingerprint of all that."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from typing import Any

import msgspec

from corpora import changes


class InputIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One input file. Local contents are known by sha256, remote ones by etag (or size), those of the Hub by the hash
    that it lists, which is their etag here; commit: where they were found, which is no part of what they are.

    reading: how the file is read, if not in the default way; absent otherwise, so that older manifests still match.
    """

    name: str
    size: int | None
    mtime_ns: int | None = None
    sha256: str | None = None
    etag: str | None = None
    reading: dict[str, str | bool | int] | msgspec.UnsetType = msgspec.UNSET
    commit: str | msgspec.UnsetType = msgspec.UNSET

    def content(self) -> list[object]:
        """The part that the fingerprint covers: neither the mtime nor the folder."""
        content: list[object] = [self.name, self.sha256 or self.etag or self.size]
        return content if not self.reading else [*content, json.dumps(self.reading, sort_keys=True)]


class MadeFrom(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that determines the bytes of an output folder."""

    stage: str
    algorithm: int
    settings: dict[str, Any]
    inputs: list[InputIdentity]
    unicode: str = unicodedata.unidata_version

    def fingerprint(self) -> str:
        content = sorted(json.dumps(i.content()) for i in self.inputs)
        message = [self.stage, self.algorithm, self.settings, content, self.unicode]
        return hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()[:32]

    def changes_from(self, old: MadeFrom) -> str:
        """Lists the differences: settings by path, inputs by name."""
        if old.stage != self.stage:
            return f"the stage: {old.stage} -> {self.stage}"
        before, after = ([i.content() for i in m.inputs] for m in (old, self))
        found = (changes.differences(old.settings, self.settings), changes.input_differences(before, after))
        changed = [each for each in found if each]
        if old.algorithm != self.algorithm:
            changed.append(f"algorithm version {old.algorithm} -> {self.algorithm}")
        if old.unicode != self.unicode:
            changed.append(f"Unicode tables {old.unicode} -> {self.unicode}")
        said = "; ".join(changed) + _pinning(old.inputs, found[1])
        return said or "nothing but the fingerprint, which was changed by hand"


def _pinning(inputs: Iterable[InputIdentity], changed: str) -> str:
    """How to read the files of the Hub as they were, if inputs have changed."""
    commits = sorted({each.commit for each in inputs if each.commit})
    if not (commits and changed):
        return ""
    return f"; files of the Hub as they were: write @{' or @'.join(commits[:2])} after the name of the repository"
