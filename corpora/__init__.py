"""Bottom layer: data at rest and pure functions on it. No Beam, no torch.

documents     sources, formats, readers, writers           text         normalisation, hashes
annotations   columns aligned with documents               words        counted words
perplexity    PerplexityModel, KenLM files                 encoding     text -> ids
sampling      Gaussian, Stepwise, Uniform, keep            tokens       ids -> rows, the shard format
rows          ShardRows: shards read without torch         manifest     what an output folder holds
"""
