"""Byte-level BPE: GPT-2's files, its words, merges by table or by fastokens."""
