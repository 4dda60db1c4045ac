"""SentencePiece's normaliser, rebuilt exactly from the parts that `tokenizers` has.

SentencePiece replaces the longest match of its rules, from left to right: single characters (case folding,
compatibility forms, control characters), and sequences (E + U+0301 -> é, Hangul letters -> a syllable).
`tokenizers.Precompiled` reads the same rules, but takes the *shortest* match at the start of a grapheme and drops the
rest of it: E + U+0301 becomes e. So here NFKC composes the sequences, but is kept from
composing anything else, and Precompiled only sees single characters. U+0001 is inserted as a separator: it ends a
grapheme, blocks composition, and SentencePiece's rules remove it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

APART = "\x01"
KEPT = "\x02"  # stands for the tilde below while NFKC runs
FULLWIDTH_TILDE = "～"  # the one character that NFKC changes and SentencePiece's rules don't
SPACE = "▁"
# Text never has this after NFKC. It stands for `<` in tokenizer.json, where text could otherwise spell the pieces
# <pad>, </s> (as `</S>`, lowercased), <unk>, <unused_n> and <extra_id_n>: `tokenizers` has no piece types.
FULLWIDTH_LESS_THAN = "＜"
INSIDE = (
    r"(?!\A)"  # an insertion at the very start leaves `tokenizers` with broken offsets, and nothing comes before it
)
# What can follow a character inside its grapheme after NFKC; Cn: marks newer than the regular-expression engine.
JOINS_A_GRAPHEME = r"[\p{M}\p{Cf}\p{Cn}\x{1F3FB}-\x{1F3FF}]"


def normalizer(charsmap: bytes, *, hide_less_than: bool = True) -> Any:
    """A `tokenizers` normaliser equal to SentencePiece's with these rules (nmt_nfkc or nmt_nfkc_cf), spaces as `▁`.

    hide_less_than: replace `<` by FULLWIDTH_LESS_THAN.
    Exceptions: 393 sequences that begin with letters newer than Unicode 12, unknown to the NFKC of `tokenizers`.
    """
    from tokenizers import Regex, normalizers

    guard = composition_guard(key for key in rule_keys(charsmap) if len(key) > 1)
    hidden = [normalizers.Replace("<", FULLWIDTH_LESS_THAN)] if hide_less_than else []
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex(f"{INSIDE}{guard}|{KEPT}"), APART),
            normalizers.Replace(FULLWIDTH_TILDE, KEPT),
            normalizers.NFKC(),
            normalizers.Replace(KEPT, FULLWIDTH_TILDE),
            normalizers.Replace(Regex(f"{INSIDE}(?={JOINS_A_GRAPHEME})"), APART),
            normalizers.Precompiled(charsmap),
            normalizers.Prepend(" "),
            normalizers.Replace(Regex(" +"), SPACE),
            normalizers.Replace(Regex(rf"{SPACE}\z"), ""),
            *hidden,
        ]
    )


def composition_guard(sequences: Iterable[str]) -> str:
    """A regular expression for the places before a combining character that no sequence crosses.

    A sequence's first character never occurs later in another (except four in rare scripts), and every prefix of a
    sequence is a sequence, so the characters just before a place tell whether the longest match covers it.
    """
    before: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for sequence in sequences:
        before[sequence[-1]][sequence[1:-1]].add(sequence[0])
    alike: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for last, middles in before.items():
        alike[_prefixes(middles)].add(last)
    covered = "".join(
        f"(?={_class(lasts)}){''.join(f'(?<!{prefix})' for prefix in prefixes)}|"
        for prefixes, lasts in sorted(alike.items(), key=lambda item: min(item[1]))
    )
    return rf"(?=\p{{M}}|{_class(before)})(?:{covered}(?!{_class(before)}))"


def _prefixes(middles: dict[str, set[str]]) -> tuple[str, ...]:
    """Patterns of what may come before a character: classes of first characters, then of middle ones."""
    same: dict[tuple[str, int], set[str]] = defaultdict(set)
    for middle, firsts in middles.items():
        same[_class(firsts), len(middle)].add(middle)
    single = {first + (_class(found) if length else "") for (first, length), found in same.items() if length < 2}
    longer = {first + _class(m[0]) + _class(m[1:]) for (first, n), found in same.items() if n >= 2 for m in found}
    return tuple(sorted(single | longer))


def _class(characters: Iterable[str]) -> str:
    """A character class, in ranges."""
    codes = sorted(map(ord, characters))
    starts = [c for i, c in enumerate(codes) if i == 0 or codes[i - 1] != c - 1]
    ends = [c for i, c in enumerate(codes) if i + 1 == len(codes) or codes[i + 1] != c + 1]
    ranges = (f"\\x{{{a:X}}}" if a == b else f"\\x{{{a:X}}}-\\x{{{b:X}}}" for a, b in zip(starts, ends, strict=True))
    return f"[{''.join(ranges)}]"


def rule_keys(charsmap: bytes) -> list[str]:
    """The strings that the rules replace: the keys of the double-array trie (darts-clone) at a charsmap's start."""
    import numpy as np

    from corpora.encoding.sentencepiece.charsmap import trie_children

    size = int.from_bytes(charsmap[:4], "little")
    units = np.frombuffer(charsmap, "<u4", size // 4, 4)
    nodes, keys, found = np.zeros(1, np.int64), [b""], []
    while keys:
        found += [key for key, leaf in zip(keys, (units[nodes] >> 8) & 1, strict=True) if leaf]
        parents, labels, nodes = trie_children(units, nodes)
        keys = [keys[p] + bytes((c,)) for p, c in zip(parents.tolist(), labels.tolist(), strict=True)]
    return sorted(key.decode() for key in found)
