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

# A stamp is written when its step is complete, so that a broken one is repeated.
$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/demo.stamp: $(VENV)/venv.stamp pyproject.toml constraints.txt
	$(INSTALL) --editable '.[plots]'
	touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	$(INSTALL) --editable '.[plots,tests]'
	touch $@
