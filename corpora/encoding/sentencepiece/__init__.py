"""SentencePiece models: the engine of record, and the same ids word by word.

Start with `encoder`: the `Encoder` of a spiece.model.

    encoder          the engine of record (long texts in parts, where that is exact), and the choice of a fast way
    model_proto      reads and writes a model file, without the protobuf library
    rounded_scores   scores that add up exactly, so that all engines break ties alike
    words            what both fast ways share: normalising new words, by a table or by SentencePiece itself
    word_pieces      unigram models      unigram_engine   their tables, and which models are supported
    bpe              BPE models, their tables, and which models are supported
    unigram_viterbi  the best pieces of a word, and when SentencePiece finds the same
    piece_trie       the pieces as a trie, for the Viterbi
    word_tables      normalisation as tables for the kernels
    code_points      what each character becomes      charsmap   the rules inside a model file

The path of a new word: characters -> symbols (`word_tables` by `code_points` and `charsmap`; applied by
`cache.word_symbols`) -> pieces (`unigram_viterbi` over `piece_trie`, or `cache.bpe_merges`) -> the cache.
If a model breaks an assumption (pieces that cross spaces, user-defined symbols, ...), `why_not` says so, and
SentencePiece encodes its texts.
"""
