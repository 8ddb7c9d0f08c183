# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone.

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
BLENDER_LIBRARIES := libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libegl1

.PHONY: setup demo test test-slow lint benchmarks clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) is missing. Blender's module needs Python 3.11: apt-get install python3.11 python3.11-venv,"; \
	  echo "or name another one: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[render,onnx,dev]'
	@$(BIN)/python -c 'import bpy' || { \
	  echo "error: Blender's module does not load; it lacks a system library. On Debian and Ubuntu:"; \
	  echo "  apt-get install $(BLENDER_LIBRARIES)"; exit 1; }
	@touch $@

demo: setup
	@$(BIN)/python -m tools.demo

test: setup
	$(BIN)/pytest -m 'not slow'

test-slow: setup
	$(BIN)/pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmarks: setup
	$(BIN)/python benchmarks/render.py

clean:
	rm -rf $(VENV) build *.egg-info
