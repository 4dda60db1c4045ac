"""Cards: README.md files with YAML front matter that the Hub reads. One module for each kind of card.

`model.py` writes model cards. Cards of datasets and tokenizers belong here, too: a typed input and a function that
returns text. Cards don't import torch; the trainer is passed the function that writes the card.
"""
