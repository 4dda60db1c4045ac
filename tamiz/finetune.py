"""Runs the fine-tuning example of `tamiz.trainer.finetune`, by default on the demo's documents.

python -m tamiz.finetune OUT/model
"""

from __future__ import annotations

import sys

from corpora.errors import TamizError
from tamiz.recipes.load import DEMO
from tamiz.trainer import require_torch


def main() -> int:
    """The exit code: 0 if the model is better than the most frequent class by 10 points, 1 if not, 2 if it can't be
    tried."""
    try:
        require_torch()
    except TamizError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    from tamiz.trainer.finetune import main

    return main(documents=str(DEMO / "documents.jsonl"))


if __name__ == "__main__":
    raise SystemExit(main())
