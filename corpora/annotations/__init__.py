"""Row-aligned columns beside documents: perplexity, language, quality, whatever an annotator says of each document.

annotator.py    what an annotator is, and the registry of all annotators
columns.py      the columns of one work item, written as one small Parquet file
reading.py      the files read back; checks that a folder belongs to these inputs
joining.py      several folders side by side: which documents they drop, which language they name, what they carry on

A folder of annotations holds one file per work item, <name>.parquet: `row` (int32, the 0-based row in the whole input
file), then the annotator's columns, null where a row is no document or was rejected. It holds no text.
"""
