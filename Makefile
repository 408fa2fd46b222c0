# Everything a person or a CI needs; each target works on a fresh clone with only Python (3.11 or later) and make.
# What is installed goes to .venv; nothing outside this folder is touched.

PYTHON ?= python3
# Passed on to pip, for a mirror or a build of torch of your choice; see docs/install.md.
PIP_ARGS ?=
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n $(WORKERS) --dist loadscope

.PHONY: help setup demo test test-all check bench bench-rivals docs clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.app  ## install gatework into .venv; afterwards .venv/bin/gatework runs
	@echo "Ready: $(BIN)/gatework --help"

demo: $(VENV)/.app  ## train on a bundled real data set: table, report, saved model
	@$(BIN)/gatework demo

test: $(VENV)/.dev  ## the tests, documentation included, without the slow ones
	@$(PYTEST) $(PARALLEL) -m "not slow"

test-all: $(VENV)/.dev  ## all tests
	@$(PYTEST) $(PARALLEL)

check: $(VENV)/.dev  ## format, lint, strict types, documentation, architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(PYTEST) tests/test_architecture.py tests/test_public_names.py tests/test_docs_claims.py

bench: $(VENV)/.dev  ## the benchmarks, after the tests that they rest on
	@$(PYTEST) $(PARALLEL) -m "not slow"
	@for script in $(sort $(wildcard benchmarks/bench_*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# What is there already (a torch of your choice) is kept, as in .venv.
RIVALS := benchmarks/.venv-rivals
BENCH_ARGS ?=

bench-rivals: $(VENV)/.dev $(RIVALS)/.made  ## the engine's benchmark beside ONNX Runtime, OpenVINO and JAX
	@$(PYTEST) $(PARALLEL) -m "not slow"
	@$(RIVALS)/bin/python benchmarks/bench_engine.py $(BENCH_ARGS)

docs: $(VENV)/.dev  ## rewrite the generated parts of docs/, then run every code block
	@$(BIN)/python docs/write_error_list.py
	@$(PYTEST) tests/test_docs.py tests/test_docs_claims.py

clean:  ## remove .venv, the rivals' environment and every cache
	rm -rf $(VENV) $(RIVALS) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist src/gatework.egg-info
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that is already there (with a torch of your choice in it) is kept.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || { \
	  echo "'$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo not there); gatework needs Python 3.11 or later."; \
	  echo "Name one: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.app: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing gatework into $(VENV) (once; torch is most of it) ..."
	@$(INSTALL) --editable ".[app]"
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing gatework and its test tools into $(VENV) (once; torch is most of it) ..."
	@$(INSTALL) --editable ".[app,dev]"
	@touch $(VENV)/.app $@

$(RIVALS)/.made: $(VENV)/.made constraints.txt benchmarks/rivals.txt
	@echo "Installing gatework and its rivals into $(RIVALS) (once; torch is most of it) ..."
	@$(RIVALS)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(RIVALS)
	@$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --constraint constraints.txt \
	  --requirement benchmarks/rivals.txt --editable .
	@touch $@
