"""Ids to rows: span corruption, causal rows, packing, the split, and the shard format.

span_corruption  T5's lengths, masks and corrupted rows      causal     plain rows with document borders
concatenate      a stream of documents -> groups of rows     split      train or validation, by text
shards           rows at rest (Parquet)                      settings   what all objectives share
objectives       one file per objective                      row_maker  packed ids -> stored columns
build            texts -> the parts of one work item         rows       the output of packing, and ids left over
best_fit         documents -> rows, cutting only long ones   shapes     how many ids a row takes and produces
facts            what the manifest states                    account    checks that account, counts rows again
build_facts      the facts of shards just built              denoisers  kinds of noise
inspect_rows     one stored row by its number                readable   ids -> pieces and whole characters
row_views        a stored row as a person reads it           plain_rows rows of ids as they come: read back
parquet_file     the writer of `shards`; its parts: parquet_pages, page_kernels, thrift
"""
