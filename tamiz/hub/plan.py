"""What an upload sends and deletes, given what is there. Pure.

* A file whose content is there stays.
* A file that isn't published any more is deleted only if the record names it and it is as the record says.
* A card that someone edited on the Hub stays, unless it is to be overwritten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tamiz.hub.record import CARD, NAME, Item, Kept, encode, item, kept


@dataclass(frozen=True)
class Plan:
    """send: in the order of the commit, card and record last. edited: paths left as someone changed them."""

    send: tuple[Item, ...]
    delete: tuple[str, ...]
    there: int
    edited: tuple[str, ...] = ()

    @property
    def operations(self) -> int:
        return len(self.send) + len(self.delete)

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.send)


def plan(
    items: Sequence[Item], tree: Mapping[str, str], recorded: Mapping[str, Kept], *, overwrite_card: bool
) -> Plan:
    """items: what is published, card included. tree: path -> oid of what is there. recorded: of the last upload."""
    known = dict(recorded)
    published = {each.path: each for each in items}
    edited = []
    if not overwrite_card and _is_edited(published.get(CARD), tree.get(CARD), known.get(CARD)):
        del published[CARD]
        edited.append(CARD)
    entries = kept(published.values())
    if CARD in edited and CARD in known:
        entries[CARD] = known[CARD]
    stale = [path for path in sorted(known) if path not in published and path in tree and path not in edited]
    delete = tuple(path for path in stale if known[path].is_at(tree[path]))
    edited += [path for path in stale if path not in delete]
    ordered = sorted(published.values(), key=lambda each: (each.path == CARD, each.path))
    whole = [*ordered, item(NAME, encode(entries))]
    send = tuple(each for each in whole if each.path not in tree or not each.is_at(tree[each.path]))
    return Plan(send, delete, len(whole) - len(send), tuple(edited))


def _is_edited(ours: Item | None, there: str | None, known: Kept | None) -> bool:
    """Whether the card that is there is neither ours nor the one that we put there."""
    if ours is None or there is None or ours.is_at(there):
        return False
    return known is None or not known.is_at(there)


def parts(found: Plan, most: int, most_bytes: int) -> list[Plan]:
    """The plan in parts that a commit takes, deletions first; at most `most` operations and about `most_bytes` of
    small files, whose content is in the commit itself."""
    result: list[Plan] = []
    send: list[Item] = []
    delete = list(found.delete[: most - 1])
    size = 0
    for each in found.send:
        weight = each.bytes if each.git else 0
        if send and (len(send) + len(delete) >= most or size + weight > most_bytes):
            result.append(Plan(tuple(send), tuple(delete), 0))
            send, delete, size = [], [], 0
        send.append(each)
        size += weight
    late = found.delete[most - 1 :]  # beyond a commit's worth of deletions, which is rare
    between = [Plan((), late[n : n + most], 0) for n in range(0, len(late), most)]
    return [*between, *result, Plan(tuple(send), tuple(delete), 0)]


def fingerprint(items: Sequence[Item]) -> str:
    """Names the content that is published: equal for equal files."""
    lines = sorted(f"{each.sha256} {each.path}" for each in items)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
