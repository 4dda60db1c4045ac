"""What a tokenizer makes of text: how long, how much unknown, what comes back.

settings   what can be chosen                     words      whitespace words, and those of more than one token
tally      counts that add up, and their figures  read_back  decoded and normalised text, as the engine has it
candidate  a tokenizer with all that is asked     auto_tokenizer  tokenizer.json, held against the engine of record
languages  what a path says of language           measure    texts -> a tally
summary    tallies -> what eval.json holds
"""
