"""Lines of Python for cards: how files are loaded, by their names on the Hub and from a folder."""

from __future__ import annotations


def dataset_lines(data_files: str, config: str = "", split: str = "train") -> str:
    """How documents are loaded. data_files: a pattern, as part-*.parquet; config: its name, if not the default."""
    name = f', "{config}"' if config else ""
    lines = f"""```python
from datasets import load_dataset

repo = "."  # this folder, or its name on the Hub: OWNER/NAME
documents = load_dataset(repo{name}, split="{split}")
print(documents[0])
for document in load_dataset(repo{name}, split="{split}", streaming=True):  # nothing is stored
    print(document)
    break
```
"""
    return lines + (_tables(data_files) if data_files.endswith(".parquet") else "")


def _tables(data_files: str) -> str:
    return f"""
Polars and DuckDB read the Parquet files where they are:

```py
import polars

frame = polars.scan_parquet("hf://datasets/OWNER/NAME/{data_files}")
```

```sql
SELECT count(*) FROM 'hf://datasets/OWNER/NAME/{data_files}';
```
"""


def rows_lines() -> str:
    """How rows that are no documents are loaded."""
    return """```python
from datasets import load_dataset

repo = "."  # this folder, or its name on the Hub: OWNER/NAME
rows = load_dataset(repo, split="train", streaming=True)  # or without streaming, to have them all
print(next(iter(rows)))
```
"""


def model_lines(tokenizer: str, model: str, model_class: str) -> str:
    """How a tokenizer and a model in folders of a dataset's repository are loaded. model: empty if there is none."""
    patterns = ", ".join(f'"{folder}/*"' for folder in dict.fromkeys(name for name in (tokenizer, model) if name))
    classes = f"AutoTokenizer, {model_class}" if model else "AutoTokenizer"
    lines = f"""```py
from huggingface_hub import snapshot_download
from transformers import {classes}

folder = snapshot_download("OWNER/NAME", repo_type="dataset", allow_patterns=[{patterns}])
tokenizer = AutoTokenizer.from_pretrained(folder, subfolder="{tokenizer}")
"""
    return (
        lines + (f'model = {model_class}.from_pretrained(folder, subfolder="{model}")\n' if model else "") + "```\n"
    )
