"""The codes of languages that the Hub knows: ISO 639-1, -2 and -3, `code` and `multilingual`.

The list of ISO 639-3 comes with the library `datasets`. It names each language by its shortest code, so the longer
codes of languages with two letters stand below (from CLDR's aliases).
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

SPECIAL = ("code", "multilingual")
_LIST = Path("utils", "resources", "languages.json")  # in the package
_OLD = ("bh", "sh", "tl", "tw")  # of ISO 639-1, without a longer code below

_PAIRS = (
    "aar:aa abk:ab afr:af aka:ak alb:sq amh:am ara:ar arg:an arm:hy asm:as ava:av ave:ae aym:ay aze:az bak:ba "
    "bam:bm baq:eu bel:be ben:bn bis:bi bod:bo bos:bs bre:br bul:bg bur:my cat:ca ces:cs cha:ch che:ce chi:zh "
    "chu:cu chv:cv cor:kw cos:co cre:cr cym:cy cze:cs dan:da deu:de div:dv dut:nl dzo:dz ell:el eng:en epo:eo "
    "est:et eus:eu ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fre:fr fry:fy ful:ff geo:ka ger:de gla:gd gle:ga "
    "glg:gl glv:gv gre:el grn:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig "
    "ice:is ido:io iii:ii iku:iu ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks "
    "kat:ka kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv "
    "lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg mac:mk mah:mh mal:ml mao:mi mar:mr may:ms mkd:mk mlg:mg mlt:mt "
    "mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr nde:nd ndo:ng nep:ne nld:nl nno:nn nob:nb nor:no nya:ny "
    "oci:oc oji:oj ori:or orm:om oss:os pan:pa per:fa pli:pi pol:pl por:pt pus:ps que:qu roh:rm ron:ro rum:ro "
    "run:rn rus:ru sag:sg san:sa sin:si slk:sk slo:sk slv:sl sme:se smo:sm sna:sn snd:sd som:so sot:st spa:es "
    "sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th tib:bo "
    "tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo wel:cy "
    "wln:wa wol:wo xho:xh yid:yi yor:yo zha:za zho:zh zul:zu "
)
_LONGER = dict(pair.split(":") for pair in _PAIRS.split())


def is_known(code: str) -> bool:
    """Whether the Hub has a page of this language. Without the list of ISO 639-3, any three letters are."""
    listed = _listed()
    if code in SPECIAL or code in _LONGER or code in _LONGER.values() or code in _OLD:
        return True
    return code in listed if listed else len(code) == 3 and code.isascii() and code.isalpha() and code.islower()


def nearest(code: str) -> str | None:
    """The code that was meant: of `ES`, `es-ES`, `spanish` or `jp`; None if none is near."""
    plain = code.strip().lower()
    for start in (plain, plain.replace("_", "-").partition("-")[0]):
        if is_known(start):
            return _LONGER.get(start, start)
    names = {name.lower(): short for short, name in _listed().items()}
    if plain in names:
        return names[plain]
    found = difflib.get_close_matches(plain, [*_LONGER, *_LONGER.values()], n=1)
    return _LONGER.get(found[0], found[0]) if found else None


@functools.cache
def _listed() -> Mapping[str, str]:
    """Code -> the language's name. The file is read without importing the library, which takes seconds."""
    found = importlib.util.find_spec("datasets")
    path = Path(found.origin).parent / _LIST if found and found.origin else _LIST
    if not path.is_file():
        return {}
    names: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return names
