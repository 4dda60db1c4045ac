"""Row-aligned columns beside documents: perplexity, language, quality, or whatever else an annotator computes.

annotator.py    what an annotator is, and the registry of all annotators
columns.py      the columns of one work item, written as one small Parquet file
reading.py      reads the files back; checks that a folder was made from the same inputs
joining.py      joins several folders: the documents they drop, the languages they name, the columns they carry

A folder of annotations holds one file per work item, <name>.parquet: `row` (int32, the 0-based row in the whole input
file), then the annotator's columns, null where a row isn't a document or was rejected. It holds no text.
"""
