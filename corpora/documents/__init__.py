"""Documents at rest: work items, readers and writers by format, rejected rows, named sources.

items     patterns -> work items (descriptors)      reading   a work item -> batches of documents
writing   kept documents -> parquet or JSON lines   rejected  what was not kept, and why
sources   published corpora by name
"""
