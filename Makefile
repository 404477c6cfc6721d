# Targets: demo, test, lint, docs, bench.  Each makes .venv by itself when it is not there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first interpreter that is new enough; `make PYTHON=... test` takes another one.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
BIN := .venv/bin
STAMP := .venv/.installed

# pip knows where a build of torch is at hand; uv installs the other 290 packages in a sixth of the time.
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt

# As `volkit run` has it: networks on the CPU answer a third sooner (volkit/engine/allocator.py).
export MALLOC_ARENA_MAX ?= 1
export MALLOC_MMAP_THRESHOLD_ ?= 1073741824
export MALLOC_TRIM_THRESHOLD_ ?= 1073741824

.PHONY: help demo test test-here test-slurm lint docs bench clean

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*##/\t/' | expand -t 10

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "volkit needs Python 3.11 or newer; install it, or: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) torch uv
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python -c constraints.txt -e '.[dev]' || $(PIP) -e '.[dev]'
	@touch $@

demo: $(STAMP) ## segment and score a synthetic specimen; run it again to see it resume
	$(BIN)/volkit run workflows/segment_neurons.yaml

test: test-here test-slurm ## every test that needs neither a GPU, a network nor much time

# One process more than processors: some tests wait for others to die or to answer.
test-here: $(STAMP)
	$(BIN)/python -m pytest -m 'not slurm' -n $$($(BIN)/python -c 'import os; print(os.cpu_count() + 1)') --dist worksteal

test-slurm: $(STAMP)
	$(BIN)/python -m pytest -m slurm tests/slurm

lint: $(STAMP) ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP) ## build the reference and the site, run the code of its pages, follow its links
	$(BIN)/python docs/build_reference.py
	$(BIN)/python docs/build_cli.py
	$(BIN)/python docs/build_schemas.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict -f docs/site/mkdocs.yml
	$(BIN)/python -m pytest tests/test_docs.py tests/test_site.py
	@echo "to read it: $(BIN)/python -m http.server -d build/site"

bench: $(STAMP) ## measure against the peers, briefly
	$(BIN)/volkit bench kernels --quick
	$(BIN)/volkit bench engine --quick
	$(BIN)/volkit bench io --quick

clean: ## remove what make made
	rm -rf .venv runs build dist
