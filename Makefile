# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone.

PYTHON ?= python3.11
VENV ?= .venv
TORCH ?= cpu
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help setup demo results test test-slow lint style types layers docs wheel-test benchmarks clean

help:
	@echo "make demo        render, run and report in five minutes"
	@echo "make test        the tests; make test-slow: the long proofs"
	@echo "make results     the results behind the tables of the documentation"
	@echo "make lint        ruff, mypy, import-linter, and the documentation's links"
	@echo "make docs        the documentation as a site: site/index.html"
	@echo "make wheel-test  the package, installed from its wheel in a new environment"
	@echo "make benchmarks  seconds by stage, ratios and memory; three hours"
	@echo "make setup       only the virtual environment, with all extras"
	@echo "TORCH=auto       PyTorch for the GPU of this machine; the default is the CPU build"

# A virtual environment of Python 3.11, which Blender's module needs. If the system has none, uv brings one.
$(BIN)/pip:
	@rm -rf $(VENV); $(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  rm -rf $(VENV); uv=$$(command -v uv) || { \
	    python3 -m pip install --quiet --target $(VENV).uv uv || { \
	      echo "error: this machine has neither $(PYTHON) with venv, nor uv, nor a pip that can install uv. On Debian and Ubuntu:"; \
	      echo "  apt-get install python3.11-venv, or apt-get install python3-pip where there is no python3.11"; exit 1; }; \
	    uv=$(VENV).uv/bin/uv; }; \
	  echo "$(PYTHON) is missing, so uv makes the environment with a Python 3.11"; \
	  $$uv venv --quiet --seed --python 3.11 $(VENV); rm -rf $(VENV).uv; }

# The CPU build of PyTorch is a tenth of the others. uv knows where it is; without that address, pip takes the usual build.
$(VENV)/torch: | $(BIN)/pip
	@echo "Installing PyTorch ($(TORCH); make TORCH=auto takes the build for this machine's GPU) in $(VENV), once"
	@$(INSTALL) uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend $(TORCH) -c constraints.txt torch 2>/dev/null || { \
	  echo "PyTorch's own index cannot be reached, so pip takes the build of the package index"; $(INSTALL) torch; }
	@touch $@

# The demo needs a few packages, everything else needs all.
$(VENV)/demo: pyproject.toml constraints.txt $(VENV)/torch
	@echo "Installing Blender and the other packages of the demo in $(VENV), once"
	@$(INSTALL) -e '.[render,onnx,serve]'
	@$(BIN)/objascale doctor --blender
	@touch $@

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt $(VENV)/torch
	$(INSTALL) -e '.[render,onnx,sam,hf,fastsam,ray,serve,train,docs,dev]'
	@$(BIN)/objascale doctor --blender
	@touch $@

# Renders, runs the models whose weights are here or can be had within a minute, and draws the page.
PAGE := demo/report/index.html
demo: $(VENV)/demo
	@echo "1. objascale render: 24 pictures of generated objects, 512 to 4096 px wide, with exact masks"
	@$(BIN)/objascale render --source starter --n 24 --max-px 4096 --samples 32 --seed 7 --out demo/data
	@echo "2. bench run: models segment each object from a prompt"
	@for model in flip-tiny mobilesam-onnx; do timeout 60 $(BIN)/bench fetch $$model >/dev/null 2>&1; done || true
	@$(BIN)/bench run --available --models flip-tiny,flip-s,mobilesam-onnx,grabcut,box,ellipse --data demo/data \
	  --out demo/results
	@echo "From left to right, objects cover more of their picture. box and ellipse are the prompt itself, without a model."
	@echo "3. reports build: tables, figures, and a page with every object"
	@$(BIN)/reports build demo/results --out demo/report | tail -n 2
	@echo "Open the report in a browser. To draw prompts yourself: $(BIN)/bench serve --data demo/data. Next: docs/index.md"
	@test -z "$$DISPLAY$$WAYLAND_DISPLAY" || $(BIN)/python -m webbrowser -t "file://$(CURDIR)/$(PAGE)" >/dev/null

# The results that the tables and figures of docs/ show. COCO's part needs its pictures and annotations of 2017.
FURNITURE ?= /usr/share/sweethome3d/furniture
COCO ?= data/coco/annotations/instances_train2017.json
MODELS := flip-tiny,flip-s,mobilesam-onnx,grabcut,box,ellipse
results: setup
	@test -d $(FURNITURE) || { \
	  echo "error: $(FURNITURE) is missing: apt-get install sweethome3d-furniture, or name its folder: make results FURNITURE=…"; exit 1; }
	$(BIN)/objascale render --source sweethome --objects $(FURNITURE) --hdris blender --preset full --min-fraction 1e-6 \
	  --n 100 --seed 1 --out data/furniture
	$(BIN)/bench run --models $(MODELS),mobilesam-onnx@crop --data data/furniture --out results/furniture
	$(BIN)/python docs/tables.py --keep results/furniture
	@test -f $(COCO) || { echo "$(COCO) is missing, so COCO128 is not measured"; exit 0; }; \
	for prompt in matched box; do \
	  $(BIN)/bench run --models $(MODELS),flip-m,flip-l --data $(COCO) --select image=docs/coco128.txt --prompt $$prompt \
	    --out results/coco128-$$prompt || exit 1; \
	done; \
	$(BIN)/reports table iou results/coco128-matched results/coco128-box

# Two processes of one thread each. The tests of a file stay together, so that they share the file's fixtures. Files run
# in alphabetical order, whose last ones, tests/test_*.py, are short, so that both processes end at about the same time.
# With bytecode, the Python processes that the tests start load their modules faster.
test: setup
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= \
	  $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow' $(PYTEST_FLAGS)

test-slow: setup
	$(BIN)/pytest -m slow

# The four checks run two at a time.
lint: setup
	@$(MAKE) --no-print-directory -j 2 types docs style layers

style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

# A broken link, a missing anchor or a docstring that cannot be read ends the build. The variable silences an advertisement.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the documentation is site/index.html"

# The package as its users get it: a wheel without extras in an environment of its own, used in an empty folder.
wheel-test:
	@rm -rf build dist
	@$(MAKE) --no-print-directory VENV=build/wheel build/wheel/torch
	build/wheel/bin/pip wheel --quiet --no-deps --wheel-dir dist .
	build/wheel/bin/pip install --quiet -c constraints.txt dist/*.whl
	PATH=$(CURDIR)/build/wheel/bin:$$PATH sh tests/wheel.sh

# The programs behind the figures of docs/rendering.md, "Speed and quality", and of other pages. The minutes are estimates for
# two cores that do nothing else, three hours in all. OBJECTS is a folder of GLBs and MAPS one of maps of 8k or more; without
# them, starter objects and Blender's maps are rendered. RESULTS is a folder of `bench run`.
OBJECTS ?=
MAPS ?=
RESULTS ?= results/furniture
ASSETS = $(if $(OBJECTS),--objects $(OBJECTS)) $(if $(MAPS),--hdris $(MAPS))
MAP = $(if $(MAPS),$(firstword $(wildcard $(addprefix $(MAPS)/,*.exr *.hdr))))
MEASURE := $(BIN)/python tests/benchmarks
benchmarks: setup
	$(MEASURE)/render.py  # 10 min
	$(MEASURE)/render.py --pixels 512,1024,2048 --fractions 1e-3,1e-2 --samples 64 --adaptive  # 5 min
	$(MEASURE)/render.py --pixels 4096 --fractions 1e-3 --samples 64 --full-frame  # 6 min
	$(MEASURE)/render.py --pixels 4096 --fractions 1e-3 --samples 64 --adaptive --format jpg --preset photo  # 3 min
	$(MEASURE)/render.py --pixels 8192 --fractions 1e-4 --samples 64 --adaptive $(if $(MAP),--map $(MAP))  # 2 min
	$(MEASURE)/background.py  # 3 min
	$(MEASURE)/quality.py $(ASSETS)  # 15 min
	$(MEASURE)/memory.py $(ASSETS)  # 20 min
	$(MEASURE)/paper_plan.py $(ASSETS)  # 20 min
	$(MEASURE)/processors.py $(ASSETS)  # 10 min
	$(MEASURE)/annotations.py  # 2 min
	$(MEASURE)/predict.py  # 3 min
	$(MEASURE)/harness.py  # 10 min
	$(MEASURE)/workers.py  # 15 min
	$(MEASURE)/contention.py  # 25 min
	$(MEASURE)/hf.py  # 5 min
	$(MEASURE)/training.py  # 5 min
	$(MEASURE)/training_cost.py  # 1 min
	$(MEASURE)/serve.py  # 3 min
	$(MEASURE)/difficulty.py --out build/difficulty  # 20 min
	$(MEASURE)/tones.py build/difficulty/clean build/difficulty/photo  # 1 min
	@test -d $(RESULTS) || { echo "$(RESULTS) is missing, so reports are not measured: make results"; exit 0; }; \
	$(MEASURE)/report.py $(RESULTS) && $(MEASURE)/gallery.py $(RESULTS)  # 15 min

clean:
	rm -rf $(VENV) $(VENV).uv build dist site *.egg-info
