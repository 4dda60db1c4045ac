"""Text as both scoring and encoding need it: CCNet's normaliser, MurmurHash."""
