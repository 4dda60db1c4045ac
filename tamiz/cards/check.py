"""Checks a card's YAML offline, by the rules of the Hub's documentation.

hub-docs: datasetcard.md and modelcard.md (fields), datasets-manual-configuration.md (configs and splits; names as the
library `datasets` demands them), model-cards.md (base models, licences, model-index), repositories-licenses.md.
Fields that these don't name are left alone, as the Hub leaves them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from tamiz.cards import allowed, languages
from tamiz.cards.front_matter import NotYaml, read_front_matter

RepoType = Literal["dataset", "model"]

_REPO = re.compile(r"(?!.*(\.\.|--))[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_SPLIT = re.compile(r"\w+(\.\w+)*", re.ASCII)
_NOT_IN_CONFIGS = set('<>:/\\|?*"')  # of Windows' file names: `datasets` makes a folder of a config
_LICENCE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_BCP47 = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")

Found = Iterator[str]
Check = Callable[[str, Any], Found]


def problems(text: str, repo_type: RepoType) -> list[str]:
    """One line for each: the key, its value, and what is allowed. Empty: the Hub takes the card."""
    try:
        fields = read_front_matter(text)
    except NotYaml as error:
        return [str(error)]
    if fields is None:
        return ["no metadata: the card must begin with a line ---, YAML and another line ---"]
    checks = {**_COMMON, **(_DATASET if repo_type == "dataset" else _MODEL)}
    found = [line for key, check in checks.items() if key in fields for line in check(key, fields[key])]
    return [*found, *_licence_of_ones_own(fields)]


def _each(check: Callable[[str, str], Found]) -> Check:
    """Of a field that holds a string or a list of strings, without repeats."""

    def checked(key: str, value: Any) -> Found:
        seen: set[str] = set()
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str):
                yield f"{key}: {_plain(one)} is not a string; put it in quotes"
                continue
            if one in seen:
                yield f"{key}: {one!r} is there twice"
            seen.add(one)
            yield from check(key, one)

    return checked


def _one_of(names: Sequence[str]) -> Callable[[str, str], Found]:
    def checked(key: str, value: str) -> Found:
        if value not in names:
            near = difflib.get_close_matches(value.lower().replace(" ", "-"), names, n=1)
            few = len(names) < 15
            hint = f"one of {', '.join(names)}" if few else f"did you mean {near[0]}?" if near else _WHERE[key]
            yield f"{key}: {value!r} is not a value of the Hub; {hint}"

    return checked


_WHERE = {
    "license": "a licence that the Hub doesn't list is `other`, with license_name and license_link",
    "task_categories": "the list is on https://huggingface.co/tasks",
    "pipeline_tag": "the list is on https://huggingface.co/tasks",
}


def _any(key: str, value: str) -> Found:
    if not value.strip():
        yield f"{key}: a value is empty; remove it"


def _language(key: str, value: str) -> Found:
    if not languages.is_known(value):
        near = languages.nearest(value)
        hint = f"; did you mean {near}?" if near else ""
        yield f"{key}: {value!r} is not an ISO 639 code in lower case that the Hub knows{hint}"


def _language_detail(key: str, value: str) -> Found:
    if not _BCP47.fullmatch(value):
        yield f"{key}: {value!r} is not a BCP 47 tag, such as es-MX"


def _repo(key: str, value: str) -> Found:
    if not _REPO.fullmatch(value):
        yield f"{key}: {value!r} is not the name of a repository on the Hub, such as OWNER/NAME"


def _source_dataset(key: str, value: str) -> Found:
    if value not in ("original", "extended"):
        yield from _repo(key, value.removeprefix("extended|"))


def _string(key: str, value: Any) -> Found:
    if not isinstance(value, str) or not value.strip():
        yield f"{key}: {_plain(value)} must be a string that isn't empty"


def _configs(key: str, value: Any) -> Found:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        yield f"{key}: {_plain(value)} must be a list of tables with config_name and data_files"
        return
    names = [str(one.get("config_name")) for one in value]
    yield from (f"{key}: config_name {name!r} is there twice" for name in _repeated(names))
    default = [name for one, name in zip(value, names, strict=True) if one.get("default") or name == "default"]
    if len(default) > 1:
        yield f"{key}: {' and '.join(default)} are both the default; only one can be"
    for one in value:
        yield from _config(key, one)


def _config(key: str, config: Mapping[str, Any]) -> Found:
    name = config.get("config_name")
    if not isinstance(name, str) or not name or _NOT_IN_CONFIGS & set(name):
        yield f"{key}: config_name {_plain(name)} must be a string without {' '.join(sorted(_NOT_IN_CONFIGS))}"
    files = config.get("data_files", "")
    if _paths(files) or files == "":
        return
    if not isinstance(files, list) or not all(isinstance(one, dict) for one in files):
        yield f"{key}: data_files of {_plain(name)} must be a path, a list of paths, or a list of split and path"
        return
    splits = [one.get("split") for one in files]
    yield from (f"{key}: split {split!r} of {_plain(name)} is there twice" for split in _repeated(map(str, splits)))
    for one in files:
        yield from _split(f"{key}: split {_plain(one.get('split'))} of {_plain(name)}", one)


def _split(said: str, files: Mapping[str, Any]) -> Found:
    name = files.get("split")
    if not isinstance(name, str) or not _SPLIT.fullmatch(name):
        yield f"{said} must consist of letters, digits and _, with single dots between them; no dashes"
    if not _paths(files.get("path")) or set(files) != {"split", "path"}:
        yield f"{said} must have a path, or a list of paths, and nothing else"


def _paths(value: Any) -> bool:
    listed = value if isinstance(value, list) else [value]
    return bool(listed) and all(isinstance(one, str) and one and not one.startswith("/") for one in listed)


def _repeated(names: Any) -> list[str]:
    listed = list(names)
    return sorted({name for name in listed if listed.count(name) > 1})


def _model_index(key: str, value: Any) -> Found:
    """modelcard.md: the required fields of each result."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        yield f"{key}: {_plain(value)} must be a list of tables with name and results"
        return
    for model in value:
        if not isinstance(model.get("name"), str):
            yield f"{key}: name {_plain(model.get('name'))} must be a string"
        results = model.get("results")
        if not isinstance(results, list):
            yield f"{key}: results {_plain(results)} must be a list"
            continue
        for result in results:
            yield from _result(key, result)


_REQUIRED = (("task", ("type",)), ("dataset", ("type", "name")))


def _result(key: str, result: Any) -> Found:
    table = result if isinstance(result, dict) else {}
    for part, names in _REQUIRED:
        of = table.get(part)
        for name in names:
            if not isinstance(of, dict) or not isinstance(of.get(name), str):
                yield f"{key}: a result needs {part}.{name}, a string"
    metrics = table.get("metrics")
    for metric in metrics if isinstance(metrics, list) and metrics else [{}]:
        if not isinstance(metric, dict) or not isinstance(metric.get("type"), str) or "value" not in metric:
            yield f"{key}: a result needs metrics, each with type and value"


def _licence_of_ones_own(fields: Mapping[str, Any]) -> Found:
    name, link = fields.get("license_name"), fields.get("license_link")
    if (name or link) and fields.get("license") != "other":
        yield f"license: {_plain(fields.get('license'))} must be `other` where license_name or license_link is given"
    if fields.get("license") == "other" and not name:
        yield "license: other needs license_name, and a file LICENSE or license_link"
    if name is not None and not (isinstance(name, str) and _LICENCE_NAME.fullmatch(name)):
        yield f"license_name: {_plain(name)} must consist of lower-case letters, digits, dots and dashes"


def _plain(value: Any) -> str:
    """A value on one line, shortened."""
    said = " ".join(repr(value).split())
    return said if len(said) <= 60 else f"{said[:57]}..."


_COMMON: dict[str, Check] = {
    "language": _each(_language),
    "language_details": _each(_language_detail),
    "license": _each(_one_of(allowed.LICENCES)),
    "tags": _each(_any),
    "datasets": _each(_repo),
    "license_link": _string,
}
_DATASET: dict[str, Check] = {
    "pretty_name": _string,
    "size_categories": _each(_one_of(allowed.SIZE_NAMES)),
    "task_categories": _each(_one_of(allowed.TASKS)),
    "annotations_creators": _each(_one_of(allowed.ANNOTATORS)),
    "language_creators": _each(_one_of(allowed.CREATORS)),
    "multilinguality": _each(_one_of(allowed.MULTILINGUALITY)),
    "source_datasets": _each(_source_dataset),
    "configs": _configs,
}
_MODEL: dict[str, Check] = {
    "library_name": _string,
    "pipeline_tag": _each(_one_of(allowed.TASKS)),
    "base_model": _each(_repo),
    "metrics": _each(_any),
    "model-index": _model_index,
}
