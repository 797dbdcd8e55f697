# make demo        tune on shipped data, end in a report
# make test        format, lint, types, tests, doctests
# make test-slow   the tests that take minutes
# make test-foreign  the adapters of foreign trainers, each with the real library in an environment of its own
# make bench       the measured claims
# VENV=path puts the environment elsewhere; PYTHON=path chooses the interpreter it is made with.

VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin

.PHONY: demo test test-slow test-foreign bench
.DEFAULT_GOAL := test

$(VENV)/.installed: pyproject.toml constraints.txt scripts/set_up
	scripts/set_up "$(PYTHON)" "$(VENV)" .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt scripts/set_up
	scripts/set_up "$(PYTHON)" "$(VENV)" ".[dev]"
	touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/tunesmith demo

test: $(VENV)/.installed-dev
	PYTHON=$(BIN)/python scripts/check

test-slow: $(VENV)/.installed-dev
	-scripts/browser "$(BIN)/python"
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -m slow

test-foreign:
	PYTHON=$(PYTHON) scripts/foreign

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/run
