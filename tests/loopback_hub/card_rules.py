"""What the Hub demands of the YAML at a card's top, restated from its documentation, without the Hub's code.

Sources: hub-docs (datasetcard.md, modelcard.md, repositories-licenses, datasets-manual-configuration) and the
messages that the Hub gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from tests.loopback_hub.card_values import (
    ANNOTATORS,
    LICENSES,
    MULTILINGUALITY,
    OTHER_LANGUAGES,
    SIZES,
    TASKS,
    TWO_LETTERS,
)

BLOCK = re.compile(r"\A(?:\ufeff)?---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9_][\w.-]{0,95}")
SPLIT = re.compile(r"\w+(\.\w+)*", re.ASCII)
BAD_IN_CONFIG_NAMES = set('<>:/\\|?*"')
WORD = re.compile(r"[A-Za-z0-9][\w.+-]*")


def problems(content: str, kind: str) -> list[str]:
    """Of a card's text: one message per fault, none for a card that the Hub takes."""
    found = BLOCK.match(content)
    if not found:
        return []
    try:
        data = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        return [f"YAML: {' '.join(str(error).split())}"]
    if data is None:
        return []
    if not isinstance(data, dict):
        return ["The metadata must be a YAML mapping"]
    checks = (_common, _of_data_set if kind == "dataset" else _of_model)
    return [message for check in checks for message in check(data)]


def remarks(content: str, kind: str) -> list[str]:
    """What the Hub warns of, but takes: no metadata, and tasks that aren't in its list."""
    found = BLOCK.match(content)
    if not found or not found[1].strip():
        return ["empty or missing yaml metadata in repo card"]
    if problems(content, kind):
        return []
    data, name = yaml.safe_load(found[1]) or {}, "task_categories" if kind == "dataset" else "pipeline_tag"
    unknown = [value for value in _listed(data, name) if value not in TASKS]
    return [f'The {name} "{value}" is not in the official list: {", ".join(sorted(TASKS))}' for value in unknown]


def _listed(data: dict[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    return [] if value is None else value if isinstance(value, list) else [value]


def _one_of(data: dict[str, Any], name: str, allowed: Iterable[str]) -> Iterator[str]:
    for value in _listed(data, name):
        if value not in (known := sorted(allowed)):
            yield f'"{name}" must be one of [{", ".join(known)}], not {value!r}'


def _strings(data: dict[str, Any], *names: str) -> Iterator[str]:
    for name in names:
        if any(not isinstance(value, str) for value in _listed(data, name)):
            yield f'"{name}" must be a string or a list of strings'


def _single(data: dict[str, Any], *names: str) -> Iterator[str]:
    for name in names:
        if name in data and not isinstance(data[name], str):
            yield f'"{name}" must be a string'


def _common(data: dict[str, Any]) -> Iterator[str]:
    yield from _strings(data, "language", "tags", "license", "datasets", "language_details")
    yield from _single(data, "pretty_name", "license_name", "license_link")
    yield from _one_of(data, "license", LICENSES)
    yield from (message for value in _listed(data, "language") for message in _language(value))
    if data.get("license") == "other" and "license_link" in data and "license_name" not in data:
        yield '"license_name" is required beside "license_link"'
    if isinstance(name := data.get("license_name"), str) and not re.fullmatch(r"[a-z0-9.-]+", name):
        yield '"license_name" must consist of lowercase letters, digits, dots and dashes'
    for name in _listed(data, "datasets"):
        if isinstance(name, str) and not REPO.fullmatch(name):
            yield f'"datasets" must be ids of data sets, not {name!r}'


def _language(value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        return  # YAML's `no` is false: _strings says so
    if value != value.lower():
        yield '"language" must only contain lowercase characters'
    elif value not in TWO_LETTERS | OTHER_LANGUAGES and not re.fullmatch("[a-z]{3}", value):
        yield (
            f'"language" with value {value!r} is not valid. It must be an ISO 639-1, 639-2 or 639-3 code (two/three '
            'letters), or "code", "multilingual". BCP-47 identifiers go to "language_details"'
        )


def _of_data_set(data: dict[str, Any]) -> Iterator[str]:
    yield from _strings(data, "size_categories", "task_categories", "task_ids", "source_datasets")
    yield from _one_of(data, "size_categories", SIZES)
    yield from _one_of(data, "annotations_creators", ANNOTATORS)
    yield from _one_of(data, "language_creators", ANNOTATORS)
    yield from _one_of(data, "multilinguality", MULTILINGUALITY)
    for name in _listed(data, "source_datasets"):
        if isinstance(name, str) and not REPO.fullmatch(name.removeprefix("extended|")):
            yield f'"source_datasets" must be "original", "extended|NAME" or ids of data sets, not {name!r}'
    yield from _configs(data.get("configs"))
    yield from _dataset_info(data.get("dataset_info"))


def _configs(configs: Any) -> Iterator[str]:
    if configs is None:
        return
    if not isinstance(configs, list) or not all(isinstance(one, dict) for one in configs):
        yield '"configs" must be a list of mappings'
        return
    names = [one.get("config_name") for one in configs]
    if len(set(map(str, names))) < len(names):
        yield '"configs" has the same config_name twice'
    if sum(one.get("default") is True for one in configs) > 1:
        yield '"configs" has more than one default'
    for number, config in enumerate(configs):
        where, name = f'"configs[{number}]', config.get("config_name")
        if not isinstance(name, str) or not name or set(name) & BAD_IN_CONFIG_NAMES:
            yield f'{where}.config_name" must be a string without any of {"".join(sorted(BAD_IN_CONFIG_NAMES))}'
        yield from _data_files(config.get("data_files"), where)


def _data_files(files: Any, where: str) -> Iterator[str]:
    if files is None or _paths(files):
        return
    if not isinstance(files, list):
        yield f'{where}.data_files" must be a path, a list of paths or a list of split and path'
        return
    splits = []
    for number, one in enumerate(files):
        place = f"{where}.data_files[{number}]"
        if not isinstance(one, dict) or set(one) != {"split", "path"} or not _paths(one["path"]):
            yield f'{place}" must have a split and a path, or a list of paths, and nothing else'
            continue
        splits.append(one.get("split"))
        yield from _split(splits[-1], place)
    if len(set(map(str, splits))) < len(splits):
        yield f'{where}.data_files" has the same split twice'


def _paths(value: Any) -> bool:
    listed = value if isinstance(value, list) else [value]
    return bool(listed) and all(isinstance(path, str) and path for path in listed)


def _split(name: Any, place: str) -> Iterator[str]:
    if not isinstance(name, str) or not SPLIT.fullmatch(name):
        yield f'{place}.split" must be letters, digits, "_" and ".", not {name!r}'


def _dataset_info(info: Any) -> Iterator[str]:
    for one in info if isinstance(info, list) else [info] if info is not None else []:
        if not isinstance(one, dict):
            yield '"dataset_info" must be a mapping, or a list of them'
            return
        if isinstance(info, list) and not isinstance(one.get("config_name"), str):
            yield '"dataset_info" of several configurations needs a config_name in each'
        for split in one.get("splits") or []:
            yield from _split(split.get("name"), '"dataset_info.splits')
            for count in ("num_bytes", "num_examples"):
                if not isinstance(split.get(count, 0), int):
                    yield f'"dataset_info.splits.{count}" must be a whole number'


def _of_model(data: dict[str, Any]) -> Iterator[str]:
    yield from _strings(data, "base_model", "metrics")
    yield from _single(data, "library_name", "pipeline_tag", "base_model_relation", "model_name")
    yield from _one_of(data, "base_model_relation", ("adapter", "merge", "quantized", "finetune"))
    if isinstance(name := data.get("library_name"), str) and not WORD.fullmatch(name):
        yield f'"library_name" must be a library\'s name, not {name!r}'
    for name in _listed(data, "base_model"):
        if isinstance(name, str) and not REPO.fullmatch(name):
            yield f'"base_model" with value {name!r} is not valid. Use a model id from https://hf.co/models'
    yield from _model_index(data.get("model-index"))


def _model_index(index: Any) -> Iterator[str]:
    if index is None:
        return
    if not isinstance(index, list) or not all(isinstance(one, dict) for one in index):
        yield '"model-index" must be a list of mappings'
        return
    for number, model in enumerate(index):
        where = f"model-index[{number}]"
        if not isinstance(model.get("name"), str):
            yield f'"{where}.name" is required'
        results = model.get("results")
        if not isinstance(results, list):
            yield f'"{where}.results" must be a list'
            continue
        for place, result in enumerate(results):
            yield from _result(result, f"{where}.results[{place}]")


def _result(result: Any, where: str) -> Iterator[str]:
    if not isinstance(result, dict):
        yield f'"{where}" must be a mapping'
        return
    for part, names in (("task", ["type"]), ("dataset", ["type", "name"])):
        value = result.get(part)
        for name in names:
            if not isinstance(value, dict) or not isinstance(value.get(name), str):
                yield f'"{where}.{part}.{name}" is required'
    metrics = result.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        yield f'"{where}.metrics" is required'
        return
    for number, metric in enumerate(metrics):
        if not isinstance(metric, dict) or not isinstance(metric.get("type"), str) or metric.get("value") is None:
            yield f'"{where}.metrics[{number}]" must have a type and a value'
