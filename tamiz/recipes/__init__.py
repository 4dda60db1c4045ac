"""One TOML per published system, their schema and loader."""
