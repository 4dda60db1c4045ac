"""Ids to rows: span corruption, causal rows, packing, the split, and the shard format.

span_corruption  T5's lengths, masks and corrupted rows      causal     plain rows with document borders
concatenate      a stream of documents -> groups of rows     split      train or validation, by text
shards           rows at rest (Parquet)                      settings   what can be chosen
objectives       raw rows -> stored columns                  build      texts -> the parts of one work item
inspect_rows     one stored row by its number                readable   ids -> pieces and whole characters
row_views        what a person is shown of a row
"""
