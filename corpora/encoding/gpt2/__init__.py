"""Byte-level BPE as GPT-2 has it.

Start with `byte_level_bpe`: ids of a tokenizer.json, word by word.

    files            GPT-2's two files as a tokenizer.json; the character that stands for each byte
    words            where the words of GPT-2's pattern begin, 64 bytes at a time
    byte_level_bpe   words -> ids: looked up in `cache.word_table`, or merged; which files it can serve
    fast_bpe         fastokens, for other patterns (Llama 3's, ...) and for text whose words hardly repeat

To support another pattern: a kernel like `words.beginnings`, and a regular expression as its twin in tests/reference.
"""
