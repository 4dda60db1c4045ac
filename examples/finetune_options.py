"""The options of the fine-tuning examples, checked before any work."""

import argparse
import json
from pathlib import Path
from typing import Any

FAMILIES = {"t5": "a T5", "llama": "a Llama"}


def parser_of(about: str, *, family: str, **defaults: Any) -> argparse.ArgumentParser:
    """about: the docstring of the example. family: the model_type that it takes. defaults: of the options below."""

    def folder(name: str) -> Path:
        path = Path(name)
        if not (path / "config.json").is_file():
            raise argparse.ArgumentTypeError(
                f"{name} has no model: name the folder that `tamiz train` or `tamiz run` wrote"
            )
        found = json.loads((path / "config.json").read_bytes()).get("model_type")
        if found != family:
            raise argparse.ArgumentTypeError(f"{name} has a model of type {found}: name {FAMILIES[family]}")
        return path

    parser = argparse.ArgumentParser(description=about.split("\n\n")[0])
    parser.add_argument("--model", type=folder, help=f"folder of {FAMILIES[family]} [%(default)s]")
    parser.add_argument("--steps", type=positive, help="[%(default)s]")
    parser.add_argument("--batch-size", type=positive, default=16, help="rows of a step [%(default)s]")
    parser.add_argument("--learning-rate", type=float, help="at the first step; falls to 0 [%(default)s]")
    parser.add_argument("--num-threads", type=positive, default=2, help="threads of torch [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the rows, the split and the order [%(default)s]")
    parser.set_defaults(**defaults)
    return parser


def positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)
