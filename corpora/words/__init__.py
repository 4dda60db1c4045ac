"""Words of a corpus and how often each occurs: counted item by item, merged, the rare ones folded into characters."""
