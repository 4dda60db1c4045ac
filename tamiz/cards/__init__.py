"""Cards: README.md files with YAML front matter that the Hub reads. One module for each kind of card.

`model.py` writes model cards, `dataset.py` those of samples, `tokenizer.py` those of tokenizers: each has a function
that returns text. Cards don't import torch; the trainer is passed the function that writes the card.
"""
