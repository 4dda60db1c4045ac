# `make demo` needs Python 3.11+ and a package registry, `make test` a C++ compiler, too; they install the rest.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
ENGINES ?= tests/engine tests/property
UNIT ?= tests/unit tests/golden

.PHONY: install demo test check docs clean

# constraints.txt pins everything; README says how to get torch without its gigabytes of CUDA libraries. Python compiles what
# the demo imports, so pip needn't compile all (--no-compile)
$(VENV)/.for-demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --no-compile --constraint constraints.txt --editable '.[train]'
	touch $@

install: $(VENV)/.installed

$(VENV)/.installed: $(VENV)/.for-demo
	$(PIP) install --constraint constraints.txt --editable '.[train,nf4,gguf,keras,dev,docs]'
	$(PIP) install --constraint constraints.txt --no-deps keras-hub
	touch $@

demo: $(VENV)/.for-demo
	$(BIN)/tamiz run t5-spanish-efficient-tiny --demo --workers 2 --out demo

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# the site, with a reference of the public names, into site/; a broken link or example page fails it
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# two processes, one per core; the second one's output follows the first one's
test: check docs
	@$(BIN)/python -m pytest $(ENGINES) > .pytest-engines.log 2>&1 & pid=$$!; \
	$(BIN)/python -m pytest $(UNIT); unit=$$?; \
	wait $$pid; engines=$$?; cat .pytest-engines.log; exit $$((unit | engines))

clean:
	rm -rf $(VENV) demo site build *.egg-info .pytest-engines.log
