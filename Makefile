# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone.

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
BLENDER_LIBRARIES := libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libegl1

.PHONY: help setup demo results test test-slow lint benchmarks clean

help:
	@echo "make demo        render, run and report in ten minutes"
	@echo "make test        the tests; make test-slow: the long proofs"
	@echo "make results     the results behind the tables of README.md and docs/"
	@echo "make lint        ruff, mypy and import-linter"
	@echo "make benchmarks  seconds by stage"
	@echo "make setup       only the virtual environment"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) is missing. Blender's module needs Python 3.11: apt-get install python3.11 python3.11-venv,"; \
	  echo "or name another one: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[render,onnx,sam,hf,fastsam,ray,train,dev]'
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

# The results that the tables of README.md and docs/ show. COCO's part needs its pictures and annotations of 2017.
FURNITURE ?= /usr/share/sweethome3d/furniture
COCO ?= data/coco/annotations/instances_train2017.json
MODELS := flip-tiny,flip-s,mobilesam-onnx,grabcut,box,ellipse
results: setup
	@test -d $(FURNITURE) || { \
	  echo "error: $(FURNITURE) is missing: apt-get install sweethome3d-furniture, or name its folder: make results FURNITURE=…"; exit 1; }
	$(BIN)/objascale render --source sweethome --objects $(FURNITURE) --hdris blender --preset full --min-fraction 1e-6 \
	  --n 100 --seed 1 --out data/furniture
	$(BIN)/bench fetch flip-tiny mobilesam-onnx
	$(BIN)/bench run --models $(MODELS),mobilesam-onnx@crop --data data/furniture --out results/furniture
	$(BIN)/python docs/tables.py --keep results/furniture
	@test -f $(COCO) || { echo "$(COCO) is missing, so COCO128 is not measured"; exit 0; }; \
	for prompt in matched box; do \
	  $(BIN)/bench run --models $(MODELS) --data $(COCO) --select image=docs/coco128.txt --prompt $$prompt \
	    --out results/coco128-$$prompt || exit 1; \
	done; \
	$(BIN)/reports table iou results/coco128-matched results/coco128-box

# Two processes of one thread each. The tests of a file stay together, so that they share the file's fixtures.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m 'not slow' $(PYTEST_FLAGS)

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
