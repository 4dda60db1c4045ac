"""Text functions that both scoring and encoding need: CCNet's normaliser, MurmurHash."""
