"""Words of a corpus and how often each occurs: counted item by item, summed part by part, the rare ones drawn.

table.py        words in memory: WordTable
kernels.py      its compiled loops
files.py        counts on disk, parted by hash, and their sum
selection.py    which words a tokenizer learns from
"""
