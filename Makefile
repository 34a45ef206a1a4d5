.PHONY: demo test check bench docs install clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export OMP_NUM_THREADS ?= 1

demo: $(VENV)/.demo
	$(BIN)/gridleaf demo $(ARGS)

test: $(VENV)/.workshop
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.workshop
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.workshop
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict

install: $(VENV)/.demo

$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "gridleaf needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.workshop: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[test,check]'
	touch $@ $(VENV)/.demo

$(VENV)/.docs: $(VENV)/.workshop
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis
