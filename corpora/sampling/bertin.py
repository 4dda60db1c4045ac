"""BERTIN's corpus, as published (arXiv:2207.06814; bertin/mc4/mc4.py, bertin/README.md)."""

# BERTIN's quartiles of mC4-es, scored with raw words: perplexities of other models aren't comparable.
BERTIN_BOUNDARIES = (536394.99320948, 662247.50212365, 919250.87225178)
BERTIN_KEEP = 0.125  # 50 of 416 million documents, "one eighth"
