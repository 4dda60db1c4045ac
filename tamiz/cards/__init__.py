"""Cards: README.md files with YAML front matter that the Hub reads. One file for each kind of thing.

`model.py` writes a model's. Cards of datasets and tokenizers go here, too: a typed input and a function that makes
text. Cards import no torch; what trains a model is handed the function that writes its card.
"""
