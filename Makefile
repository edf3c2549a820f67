PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Two cores are what everything is measured on; more threads slow small networks down.
export OMP_NUM_THREADS ?= 2

.PHONY: demo test lint format clean

demo: $(VENV)/demo.stamp
	$(BIN)/elmodes demo --output elmodes-demo

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) elmodes-demo build *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch comes first and alone: its pin selects the build without CUDA where there is one.
$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) torch
	$(INSTALL) --editable '.[plots]'
	touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	$(INSTALL) --editable '.[plots,tests]'
	touch $@
