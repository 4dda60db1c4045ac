"""Files of the Hugging Face Hub, read so that what was listed is what arrives.

A pattern is listed at one commit, with the size and hash of each file (`tree`). A file is fetched whole, and nobody
reads it before its length and hash are right (`opening`, `fetching`). Only looks ahead of the work, which can but
refuse, read single ranges (`glance`). All requests are paced, retried and worded in `client`.
"""
