"""Text, or counted words, to a tokenizer folder that AutoTokenizer loads: unigram, BPE and bytes.

Start with `train`: both entry points (`train_tokenizer` from documents, `train_on_words` from a counted corpus), and
the check that all engines agree on the result.

    settings     what can be chosen            sample       documents -> a keyed sample of them
    unigram      words -> a unigram model      bpe          words -> a BPE model
    engine       SentencePiece's trainer, with errors in the user's terms; advice tries the size that it advises
    model_proto  a trained model made reproducible before it is saved
    export       the folder of a unigram model export_bpe   of a BPE model      bytes   ByT5's, which isn't trained
    normalizer   SentencePiece's normaliser from the parts that `tokenizers` has
    evaluation/  what tokenizers make of text: length, unknowns, words cut, round trips

To add a kind, add its name in `settings`, its trainer in a new file, its export, and its branch in `train`.
SentencePiece and `tokenizers` are imported where they are used.
"""
