"""Reading packed shards: pages, the order of an epoch, windows of row groups, noise drawn anew. No torch."""
