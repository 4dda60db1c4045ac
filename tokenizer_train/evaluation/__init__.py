"""Evaluates tokenizers on text: length, unknown ids, round trips.

settings   what can be chosen                     words      whitespace words, and those with several tokens
tally      counts that add up, and their ratios   read_back  decoded and normalised text, as the engine gives it
candidate  a tokenizer with all it needs          auto_tokenizer  compares tokenizer.json with the engine of record
languages  the language in a path                 measure    texts -> a tally
summary    tallies -> the content of eval.json     trained    figures of a tokenizer that was just trained
"""
