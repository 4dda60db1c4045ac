"""The language that a path names, for documents without a language column."""

from __future__ import annotations

import re
from collections.abc import Sequence

from corpora.documents.groups import language_of_path, source_of

# ISO 639-1
CODES = frozenset(
    re.findall(
        "..",
        "aaabaeafakamanarasavayazbabebgbhbibmbnbobrbscacechcocrcscucvcydadedvdzeeeleneoeseteufafffifjfofr"
        "fygagdglgngugvhahehihohrhthuhyhziaidieigiiikioisitiujajvkakgkikjkkklkmknkokrkskukvkwkylalblgliln"
        "loltlulvmgmhmimkmlmnmrmsmtmynanbndnengnlnnnonrnvnyocojomorospapiplpsptqurmrnrorurwsascsdsesgsisk"
        "slsmsnsosqsrssstsusvswtatetgthtitktltntotrtstttwtyugukuruzvevivowawoxhyiyozazhzu",
    )
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
