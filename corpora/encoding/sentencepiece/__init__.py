"""SentencePiece models: the file format, the normaliser's character map, unigram and BPE engines."""
