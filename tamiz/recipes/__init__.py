"""Recipes: one TOML file for each published system.

schema.py       Recipe, and Section: a part of it that a stage owns
bundled.py      the bundled recipes, their bases and their variants
load.py         finds a recipe, merges it into the recipe it is based on, applies overrides, checks it
merge.py        a recipe on its base
overrides.py    `--set key.path=value`
problems.py     what is wrong with a section, all at once
published.py    what the card of a published system says
figures.py      what follows from a recipe: parameters, tokens, FLOPs
write.py        a resolved recipe as TOML, with all of that as comments
describe.py     all sections and keys, as a page and as JSON Schema
NAME.toml       a recipe; NAME.demo.toml is its small variant, NAME.SOURCE.toml its variant for another corpus
demo/           the documents of the demos, and a small tokenizer in GPT-2's format
"""
