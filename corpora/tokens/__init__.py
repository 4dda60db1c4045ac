"""Ids to rows: span corruption, causal rows, packing, the split, and the shard format.

span_corruption  T5's lengths, masks and corrupted rows      causal     plain rows with document borders
concatenate      a stream of documents -> groups of rows     split      train or validation, by text
shards           rows at rest (Parquet)                      settings   what can be chosen
objectives       raw rows -> stored columns                  build      texts -> the parts of one work item
best_fit         documents -> rows, cutting only long ones  shapes     how many ids a row takes and becomes
facts, account   what the manifest says, and its check      recount    ids of rows, counted again
parquet_file     the writer of `shards`                     rows       what packing yields, and leaves over
inspect_rows     one stored row by its number                readable   ids -> pieces and whole characters
row_views        what a person is shown of a row
"""
