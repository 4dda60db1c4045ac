"""The language that a path says, for documents that bring none of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from corpora.perplexity.calibration import source_of
from corpora.perplexity.routing import language_of_path

# ISO 639-1
CODES = frozenset(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv
    ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne
    ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st
    su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    """.split()
)
_ALONE = re.compile(r"([a-z]{2})([-_][A-Z]{2})?")


def language_of(path: str, languages: Sequence[str] = ()) -> str:
    """The one of `languages` that stands in the path, as scoring finds it.

    With none given, what the file or the nearest folder is named, where that is a language's code and nothing else
    (`es/`, `pt-BR/`, `ko-00000-of-00002.jsonl.zst`); else "". Raises BadArgument where none of those given stands
    there, or several do.
    """
    if languages:
        return language_of_path(path, languages)
    for part in reversed(path.replace("\\", "/").split("/")):
        name = source_of(part)
        found = _ALONE.fullmatch(name)
        if found and found[1] in CODES:
            return name
    return ""
