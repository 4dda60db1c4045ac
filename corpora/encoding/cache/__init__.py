"""Words encoded once and looked up afterwards: what all fast encoders share. Nothing here knows a file format.

Start with `cached_words`: the loop from a buffer of text to values, word by word.

    flat_encoder   chooses the way for `encode_flat`: the first that agrees with the engine of record on a sample
    lending        a fast way for each thread at work, and one budget for the caches of a process
    cached_words   the loop for SentencePiece's words: cut, look up, encode new words, write out
    word_scans     text -> words
    word_cache     the cache itself: slots for short words, entries for longer ones; looked up and filled
    word_symbols   new words -> symbols: normalised by a table that maps each character
    bpe_merges     symbols -> ids, by byte-pair merges
    word_values    words -> values in one array, and which lines the engine must encode instead
    word_table     a simpler cache, for words whose ids depend on the word alone (GPT-2's)

A subclass of `cached_words` fills in three steps: how words are cut, what a new word becomes, and the engine of
record. There are two: `sentencepiece.word_pieces` (unigram) and `sentencepiece.bpe`. `gpt2.byte_level_bpe` has its
own loop around `word_table`.
"""
