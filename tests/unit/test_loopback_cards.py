"""The loopback Hub's rules for cards, a second opinion beside tamiz's own: what they take and what they refuse."""

from __future__ import annotations

import pytest

from tests.loopback_hub import LoopbackHub
from tests.loopback_hub.card_rules import problems, remarks

GOOD_CARD = """language: [es, gl, nah]
license: odc-by
pretty_name: A sieved corpus
size_categories: [1K<n<10K]
task_categories: [text-generation, fill-mask]
source_datasets: [original, extended|mc4, allenai/c4]
annotations_creators: [no-annotation]
multilinguality: [monolingual]
configs:
- config_name: default
  data_files:
  - {split: train, path: "train/*.parquet"}
  - {split: valid.part_1, path: [a.parquet, b.parquet]}
dataset_info: {features: [{name: text, dtype: string}], splits: [{name: train, num_bytes: 1, num_examples: 2}]}"""
GOOD_MODEL = """language: es
license: other
license_name: my-license-1.0
license_link: LICENSE
library_name: transformers
pipeline_tag: text-generation
base_model: google/byt5-small
datasets: [me/x, mc4]
model-index:
- name: m
  results:
  - {task: {type: text-generation}, dataset: {type: me/x, name: X}, metrics: [{type: perplexity, value: 0}]}"""


def test_good_cards_pass(tmp_path):
    from huggingface_hub import DatasetCard, HfApi

    for kind, yaml in (("dataset", GOOD_CARD), ("model", GOOD_MODEL)):
        assert problems(f"---\n{yaml}\n---\n# Card\n", kind) == []
        assert remarks(f"---\n{yaml}\n---\n# Card\n", kind) == []
    assert remarks("# Card\n", "model") == ["empty or missing yaml metadata in repo card"]
    (message,) = remarks("---\ntask_categories: [text2text-generation]\n---\n", "dataset")
    assert "not in the official list" in message
    assert DatasetCard(f"---\n{GOOD_CARD}\n---\n").data.license == "odc-by"
    refused = pytest.raises(ValueError, match=r"Invalid metadata in README.md.\n- \"license\" must be one of")
    with LoopbackHub("lfs", tmp_path) as hub, refused:
        HfApi(endpoint=hub.url)._validate_yaml("---\nlicense: mine\n---\n", repo_type="dataset")


@pytest.mark.parametrize(
    ("kind", "yaml", "message"),
    [
        ("dataset", "language: [es", "YAML: "),
        ("dataset", "- es", "must be a YAML mapping"),
        ("dataset", "language: no", '"language" must be a string'),
        ("dataset", "language: es-ES", "lowercase"),
        ("dataset", "language: spanish", "ISO 639-1"),
        ("dataset", "license: mine", '"license" must be one of'),
        ("dataset", "pretty_name: 5", '"pretty_name" must be a string'),
        ("dataset", "size_categories: 1K-10K", '"size_categories" must be one of'),
        ("dataset", "source_datasets: [extended mc4]", '"source_datasets" must be'),
        ("dataset", "multilinguality: spanish", '"multilinguality" must be one of'),
        ("dataset", "configs: {config_name: a}", '"configs" must be a list'),
        ("dataset", "configs: [{config_name: a/b}]", 'config_name" must be'),
        ("dataset", "configs: [{config_name: a}, {config_name: a}]", "twice"),
        ("dataset", "configs: [{config_name: a, data_files: [{split: a-b, path: x}]}]", 'split" must be letters'),
        ("dataset", "configs: [{config_name: a, data_files: [{split: a}]}]", "must have a split and a path"),
        ("dataset", "dataset_info: {splits: [{name: train, num_bytes: many}]}", "whole number"),
        ("model", "base_model: a b", '"base_model" with value'),
        ("model", "library_name: [a]", '"library_name" must be a string'),
        ("model", "datasets: [a/b/c]", '"datasets" must be ids'),
        ("model", "license: other\nlicense_link: LICENSE", '"license_name" is required'),
        ("model", "model-index: [{name: m}]", 'results" must be a list'),
        ("model", "model-index: [{name: m, results: [{task: {type: t}}]}]", 'dataset.type" is required'),
    ],
)
def test_bad_cards_are_refused(kind, yaml, message):
    assert any(message in found for found in problems(f"---\n{yaml}\n---\n", kind))
