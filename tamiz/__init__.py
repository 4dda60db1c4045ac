"""Top layer: the command line, and `run`, which turns a recipe into stages and runs them."""
