"""Documents at rest: inputs become work items, work items become batches of documents.

sources   where documents come from, and how they are read     items     patterns or sources -> work items
formats   one value for each input format (jsonl, txt, ...)    reading   a work item -> batches of documents
groups    source and language of an input                      writing   kept documents -> Parquet or JSON lines
rejected  rows that aren't documents, and why                  templates  rows of several fields as one text
published corpora by name

Below these: item (the descriptor), batches (what readers yield), listing and splitting (of inputs), streams and
compressions (bytes of a file).

To add a format, see `formats.base`; a compression, `compressions`; a published corpus, `published`.
"""
