"""Words of a corpus and how often each occurs: what tokenizers are trained on.

Start with `table`: what a word is, and counting in memory.

    kernels     words of a text into a hash table
    table       the table around them, which grows, and accepts texts or other tables
    files       counts on disk: one file per input item, in 64 parts by hash; summed part by part
    selection   the words for a trainer, a keyed draw if there are too many; and all characters

How a corpus flows: texts -> `WordTable.count` -> `CountsFile` (one work item, on a worker) -> `summed` over all items
-> `select` -> a trainer in `tokenizer_train`. Only one part of all words is in memory at a time.
"""
