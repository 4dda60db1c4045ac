# `make demo` needs Python 3.11+ and a package registry, `make test` a C++ compiler, too; they install the rest.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
# in this order: the longest first, so that both processes end at about the same time
TESTS ?= tests/engine tests/property tests/golden tests/unit
JOBS ?= 2
TYPES = $(BIN)/mypy
SITE = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: install demo test check lint types docs clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# constraints.txt pins everything; README says how to get torch without its gigabytes of CUDA libraries. Python compiles what
# is imported, so pip needn't compile all (--no-compile)
$(VENV)/.for-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --no-compile --constraint constraints.txt --editable '.[train]'
	touch $@

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --no-compile --constraint constraints.txt --editable '.[train,nf4,gguf,keras,dev,docs]'
	$(PIP) install --no-compile --constraint constraints.txt --no-deps keras-hub
	touch $(VENV)/.for-demo $@

demo: $(VENV)/.for-demo
	$(BIN)/tamiz run t5-spanish-efficient-tiny --demo --workers 2 --out demo

check: lint types

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo

types: install
	$(TYPES)

# the site, with a reference of the public names, into site/; a broken link or example page fails it
docs: install
	$(SITE)

# JOBS processes, each of which takes the next file when it has none left; types and the site are checked meanwhile, at low
# priority, and shown at the end
test: lint
	@nice sh -c '$(TYPES) && $(SITE)' > .checks.log 2>&1 & checks=$$!; \
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS); tests=$$?; \
	wait $$checks; checked=$$?; cat .checks.log; exit $$((tests | checked))

clean:
	rm -rf $(VENV) demo site build *.egg-info .checks.log
