"""GPT-2's byte-level BPE.

Start with `byte_level_bpe`: ids of a tokenizer.json, word by word.

    files            GPT-2's two files as a tokenizer.json; the character that stands for each byte
    words            where the words of GPT-2's pattern begin, 64 bytes at a time
    byte_level_bpe   words -> ids: looked up in `cache.word_table`, or merged; which files are supported
    fast_bpe         fastokens, for other patterns (Llama 3's, ...) and for text whose words rarely repeat

To support another pattern, write a kernel like `words.beginnings`, and a regular expression as its twin in
tests/reference.
"""
