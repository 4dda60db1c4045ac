"""Runs the fine-tuning example of `tamiz.trainer.finetune`, by default on the demo's documents.

python -m tamiz.finetune OUT/model
"""

from __future__ import annotations

from tamiz.recipes.load import DEMO
from tamiz.trainer.finetune import main

if __name__ == "__main__":
    raise SystemExit(main(documents=str(DEMO / "documents.jsonl")))
