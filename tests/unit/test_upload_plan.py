"""The plan of an upload, alone: what is sent, deleted and left, for every state of a file; and its parts."""

from __future__ import annotations

from itertools import product

import pytest

from tamiz.hub.plan import Plan, fingerprint, parts, plan
from tamiz.hub.record import CARD, NAME, decode, encode, git, item, kept

OURS, BEFORE, THEIRS = (item("a.txt", text) for text in (b"ours", b"before", b"theirs"))
STATES = {"absent": None, "ours": OURS, "before": BEFORE, "theirs": THEIRS}


@pytest.mark.parametrize(("here", "there", "recorded"), [*product(("absent", "ours"), STATES, ("absent", "before"))])
def test_every_state_of_a_file(here, there, recorded):
    items = [item("b.txt", b"b"), *([OURS] if here == "ours" else [])]
    tree = {"a.txt": STATES[there].git} if STATES[there] else {}
    found = plan(items, tree, kept([BEFORE]) if recorded == "before" else {}, overwrite_card=False)
    assert ("a.txt" in [each.path for each in found.send]) == (here == "ours" and there != "ours")
    assert found.delete == (("a.txt",) if (here, there, recorded) == ("absent", "before", "before") else ())
    changed = here == "absent" and recorded == "before" and there in ("ours", "theirs")
    assert found.edited == (("a.txt",) if changed else ())


@pytest.mark.parametrize(("there", "recorded", "overwrite"), [*product(STATES, ("absent", "before"), (False, True))])
def test_every_state_of_a_card(there, recorded, overwrite):
    cards = {name: item(CARD, each.source) if each else None for name, each in STATES.items()}
    tree = {CARD: cards[there].git} if cards[there] else {}
    known = kept([cards["before"]]) if recorded == "before" else {}
    found = plan([cards["ours"], OURS], tree, known, overwrite_card=overwrite)
    stays = not overwrite and (there == "theirs" or (there == "before" and recorded == "absent"))
    assert found.edited == ((CARD,) if stays else ())
    assert (CARD in [each.path for each in found.send]) == (there != "ours" and not stays)
    (record,) = [each.source for each in found.send if each.path == NAME]
    expected = known if stays else kept([cards["ours"]])
    assert decode(record).get(CARD) == expected.get(CARD)
    assert found.send[-1].path == NAME


def test_nothing_to_do_is_an_empty_plan():
    items = [OURS, item(CARD, b"# Card")]
    first = plan(items, {}, {}, overwrite_card=False)
    assert [each.path for each in first.send] == ["a.txt", CARD, NAME]  # in this order, also in parts
    tree = {each.path: each.sha256 if each.path == "a.txt" else each.git for each in first.send}
    again = plan(items, tree, decode(first.send[-1].source), overwrite_card=False)
    assert (again.operations, again.there) == (0, 3)


@pytest.mark.parametrize(("number", "gone", "most", "sizes"), [*product((0, 1, 7), (0, 2, 9), (2, 3, 100), (1, 40))])
def test_parts_hold_everything_once_and_end_with_the_record(number, gone, most, sizes):
    send = (*(item(f"{n}", b"x" * sizes) for n in range(number)), item(NAME, b"{}"))
    whole = Plan(send, tuple(f"gone/{n}" for n in range(gone)), 0)
    found = parts(whole, most, 100)
    assert [each for part in found for each in part.send] == list(send)
    assert sorted(path for part in found for path in part.delete) == sorted(whole.delete)
    assert all(0 < part.operations <= most for part in found)
    assert all(part.bytes <= 100 or len(part.send) == 1 for part in found)
    assert found[-1].send[-1].path == NAME


def test_the_record_is_deterministic_and_strict():
    entries = kept([OURS, item("0.txt", b"0")])
    assert encode(entries) == encode(dict(reversed(entries.items())))
    assert decode(encode(entries)) == entries
    for damaged in (b"", b"{}", b"\xff", encode(entries).replace(b'"version": 1', b'"version": 2')):
        assert decode(damaged) is None
    assert git(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"  # as `git hash-object` says
    assert fingerprint([OURS]) == fingerprint([item("a.txt", b"ours")]) != fingerprint([THEIRS])
