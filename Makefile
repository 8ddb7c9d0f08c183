# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone.

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
BLENDER_LIBRARIES := libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libegl1

.PHONY: help setup demo test test-slow lint benchmarks clean

help:
	@echo "make demo        render, run and report in ten minutes"
	@echo "make test        the tests; make test-slow: the long proofs"
	@echo "make lint        ruff, mypy and import-linter"
	@echo "make benchmarks  seconds by stage"
	@echo "make setup       only the virtual environment"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) is missing. Blender's module needs Python 3.11: apt-get install python3.11 python3.11-venv,"; \
	  echo "or name another one: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[render,onnx,sam,fastsam,ray,train,dev]'
	@$(BIN)/python -c 'import bpy' || { \
	  echo "error: Blender's module does not load; it lacks a system library. On Debian and Ubuntu:"; \
	  echo "  apt-get install $(BLENDER_LIBRARIES)"; exit 1; }
	@touch $@

# Renders, runs every model whose weights are here or can be had within a minute, and draws the page.
demo: setup
	$(BIN)/objascale render --source starter --n 24 --max-px 4096 --samples 32 --seed 7 --out demo/data
	@for model in flip-tiny mobilesam-onnx; do timeout 60 $(BIN)/bench fetch $$model || echo "going on without $$model"; done
	$(BIN)/bench run --models all --data demo/data --out demo/results
	$(BIN)/reports build demo/results --out demo/report

test: setup
	$(BIN)/pytest -m 'not slow' $(PYTEST_FLAGS)

test-slow: setup
	$(BIN)/pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmarks: setup
	$(BIN)/python tests/benchmarks/render.py
	$(BIN)/python tests/benchmarks/background.py
	$(BIN)/python tests/benchmarks/training.py

clean:
	rm -rf $(VENV) build *.egg-info
