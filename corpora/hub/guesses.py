"""What an address of the Hub that names no files was probably meant to be. Only for messages."""

from __future__ import annotations

import re

FORM = "hf://datasets/OWNER/NAME/FILES for a dataset, hf://OWNER/NAME/FILES for a model"
TYPES = {"dataset": "datasets", "Datasets": "datasets", "model": "models", "Models": "models", "space": "spaces"}
_NAME = r"\w[\w.-]*"


def no_repository(address: str) -> str:
    """For one that names no repository."""
    found = re.fullmatch(rf"hf://datasets/({_NAME})(/[^/]*[*?\[].*)?", address, re.DOTALL)
    likely = f"; perhaps hf://datasets/OWNER/{found[1]}{found[2] or '/FILES'}" if found else ""
    return f"{address} names no repository of the Hub: write {FORM}{likely}"


def no_type(address: str, owner: str) -> str:
    """For one whose owner is one of TYPES, which nobody is called."""
    likely = address.replace(owner, TYPES[owner], 1)
    return f"{address} names no repository of the Hub: {owner!r} is neither an owner nor a type; perhaps {likely}"


def no_files(address: str, page: str, name: str) -> str:
    """For one that ends with its repository. page: as in `Repository`."""
    *kind, owner, last = page.split("/")
    likely = f"{address.rstrip('/')}/*.parquet"
    if "." in last:
        likely += f", or hf://{'/'.join([*kind, 'OWNER', owner, last])} if {last} is a file"
    return f"{address} names the repository {name}, but none of its files: write {FORM}, such as {likely}"


def another_repository(kind: str, name: str, path: str) -> str:
    """For one whose repository isn't there."""
    if kind == "models":
        return f"; perhaps it is a dataset: hf://datasets/{name}/{path}"
    return f"; perhaps {name.split('/')[0]} is its name, and the owner is missing: hf://{kind}/OWNER/{name}/{path}"
