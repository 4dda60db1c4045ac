"""SentencePiece models: the engine of record, and the same ids word by word.

Start with `encoder`: the `Encoder` of a spiece.model.

    encoder          the engine of record, long texts in parts where that is exact, and the choice of a fast way
    model_proto      a model file read and written, without protobuf's library
    rounded_scores   scores that add up exactly, so that every engine breaks ties alike
    words            what both fast ways share: new words normalised, by a table or by SentencePiece itself
    word_pieces      unigram models      unigram_engine   their tables, and which models they can serve
    bpe              BPE models, their tables, and which models they can serve
    unigram_viterbi  the best pieces of a word, and when SentencePiece finds the same
    piece_trie       the pieces as a trie, for the Viterbi
    word_tables      normalisation as tables for the kernels
    code_points      what each character becomes      charsmap   the rules inside a model file

A new word goes: characters -> symbols (`word_tables` by `code_points` and `charsmap`; applied by
`cache.word_symbols`) -> pieces (`unigram_viterbi` over `piece_trie`, or `cache.bpe_merges`) -> the cache.
Where a model breaks an assumption (pieces over spaces, user-defined symbols, ...), `why_not` says so, and
SentencePiece serves.
"""
