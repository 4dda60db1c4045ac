"""Names of columns that more than one module knows. Imports nothing, so that recipes are read quickly."""

DOCUMENT_STARTS = "document_starts"  # stored, list<int32>: positions in a row where a document begins
DOCUMENT_IDS = "document_ids"  # of batches, as wide as a row: which of its documents an id is in
