"""Language models of large texts: the same as `kneser_ney`, but compiled and in bounded memory.

The same model, bit for bit, and the same bytes in the file. The steps, one module each:

    words, pieces, spool   text -> ids, numbered by first occurrence (`large_text`), and their `vocabulary`
    item_ids, parted_text  the same part by part, on any worker: ids of each part's own words, joined in order
    suffix_order           positions sorted by the word there, the word before it, and so on; slice by slice
    neighbours             how much of an n-gram each position shares with the one before it in that order
    survey                 from that alone: the number of n-grams of each order, of kept ones, and counts of counts
    counts                 adjusted counts of one order
    contexts               sums, back-off weights and the context of every n-gram of one order
    interpolation          probabilities of one order (`levels` does these three)
    tables                 the hash table of one order, filled in place, in the mapped `model_file`
    arpa_sections          one order as text
    estimator              runs the steps order by order, so that only two or three orders are in memory

A "place" is an index into the suffix order. Nothing but positions is ever sorted: equal n-grams of every order lie
side by side there, n-grams that end in the same last words too, and the contexts of the n-grams that end in one word
come in ascending order. Arrays that exceed the run's memory are memory-mapped temporary files (`scratch`).
"""
