"""Small models of invented text, one for each mode, and texts at the edges of what the modes do."""

from __future__ import annotations

from pathlib import Path

from corpora.perplexity.settings import LmSettings
from corpora.perplexity.train_lm import train_lm
from tests.invented import document

TEXTS = [document(n) for n in range(400)]
SETTINGS = {
    "lines": LmSettings(order=4, train_tokenizer=150),
    "ccnet": LmSettings(order=3, train_tokenizer=150, mode="ccnet"),
    "bertin": LmSettings(order=5, words=True, prune=(0, 0, 1)),
}
ODD = [
    "",
    "\n",
    "\n\n a",
    "una\r\ndos\r",
    "nul\0 y\0más",
    "\ufeffcon BOM",
    "한국어 y 日本語",
    " \u2028\x85\x0b\x0c\u3000 ",
    "a" * 5000,
]


def train_models(folder: Path) -> Path:
    """Writes lines.bin, ccnet.bin and bertin.bin into the folder, and returns it."""
    for mode, settings in SETTINGS.items():
        train_lm(TEXTS, folder / f"{mode}.bin", settings=settings)
    return folder
