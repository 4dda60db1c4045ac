"""Cards: README.md files with YAML front matter that the Hub reads. One module for each kind of card.

model.py, dataset.py (samples), tokenizer.py, export.py   written by their stages into their folders
folder.py, shards.py, scores.py, run.py                   of any other finished folder, when it is published
check.py, allowed.py, languages.py                        the Hub's rules for the front matter, offline
front_matter.py, markdown.py, texts.py, loading.py, examples.py, plots.py   what cards are made of

Each kind has a function that returns text. Cards don't import torch; the trainer is passed the function that writes
the card.
"""

from __future__ import annotations

from pathlib import Path


def folder_card(folder: Path) -> str:
    """The text of README.md for a finished folder of tamiz: the card that is there, else one made from its manifest.

    Raises DamagedFile for a folder without a finished manifest.
    """
    from tamiz.cards.folder import card_of

    return card_of(folder)
