"""The language of an input whose documents don't name one: its source's, or the one that its path names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from corpora.documents.groups import language_of_item, source_of
from corpora.documents.item import WorkItem

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


def language_of(item: WorkItem, languages: Sequence[str] = ()) -> str:
    """The one of `languages` that the item's source or path names, found as in scoring.

    Without `languages`: the source's language, or the name of the file or the nearest folder if that is just a
    language code (`es/`, `pt-BR/`, `ko-00000-of-00002.jsonl.zst`), or "". Raises BadArgument if none of `languages`
    is named, or several are.
    """
    if languages:
        return language_of_item(item, languages)
    if item.language is not None:
        return item.language
    for part in reversed(item.path.replace("\\", "/").split("/")):
        name = source_of(part)
        found = _ALONE.fullmatch(name)
        if found and found[1] in CODES:
            return name
    return ""
