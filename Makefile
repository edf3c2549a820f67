PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Two cores are what everything is measured on; more threads slow small networks down.
export OMP_NUM_THREADS ?= 2

.PHONY: demo test test-all test-oldest test-newest bench bench-quick bench-check fuzz docs lint format clean

demo: $(VENV)/demo.stamp
	$(BIN)/elmodes demo --output elmodes-demo

# Two processes of one thread each; worksteal keeps most tests of a module in one of them.
PARALLEL := --numprocesses 2 --dist worksteal
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL)

test: $(VENV)/test.stamp
	$(PYTEST) -m "not slow"

# Then the tests that take long, such as the quick modes of the benchmarks.
test-all: test
	$(PYTEST) -m slow

# The same tests with the oldest versions that pyproject.toml allows, and with the newest there are.
# Packages that we use may warn there; our own code may not.
test-oldest test-newest: test-%:
	$(PYTHON) -m venv --clear .venv-$*
	$(PYTHON) tests/versions.py $* > .venv-$*/constraints.txt
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-$*/constraints.txt --editable '.[tests]'
	OMP_NUM_THREADS=1 .venv-$*/bin/python -m pytest $(PARALLEL) -o filterwarnings=error:::sklearn_elmodes

# All comparisons that need less than an hour, with environments for the packages to compare with, then
# the tables from all results. What needs more runs by itself: python benchmarks/NAME.py
BENCH := startup featurization conformance growth training_overhead periodic_trends screening edges stability \
	measured_enthalpies regressors

bench: $(VENV)/test.stamp
	failed=; for name in $(BENCH); do $(BIN)/python benchmarks/$$name.py || failed="$$failed $$name"; done; \
		$(BIN)/python benchmarks/_tables.py && test -z "$$failed" || { echo "Failed:$$failed"; exit 1; }

# Under 3 minutes once the environments are there; of them, those that are small.
BENCH_QUICK := startup featurization conformance

bench-quick: $(VENV)/test.stamp
	$(BIN)/python benchmarks/_environments.py cbfv elementembeddings
	for name in $(BENCH_QUICK); do \
		$(BIN)/python benchmarks/$$name.py --quick --threads 1 --output .bench-quick || exit 1; \
	done

# Fails if something lost speed against a reference of the same run; benchmarks/README.md tells more.
bench-check: $(VENV)/test.stamp
	$(BIN)/python benchmarks/_check.py

# Seconds for each kind of input; what breaks something is left in .fuzz.
FUZZ_SECONDS ?= 120

fuzz: $(VENV)/test.stamp
	for target in $$(PYTHONPATH=tests $(BIN)/python -c 'import fuzz_targets; print(*fuzz_targets.TARGETS)'); do \
		$(BIN)/python tests/fuzz.py $$target .fuzz/$$target -max_total_time=$(FUZZ_SECONDS) \
			-artifact_prefix=.fuzz/$$target- || exit 1; \
	done

# Runs the examples, which takes some minutes the first time.
docs: $(VENV)/docs.stamp
	$(BIN)/python -m sphinx -W --keep-going -n docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest .fuzz elmodes-demo build *.egg-info \
		benchmarks/.venvs .bench-quick docs/_build docs/api docs/auto_examples

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
	$(INSTALL) --editable '.[plots,tests,dev,docs]'
	touch $@

$(VENV)/docs.stamp: $(VENV)/demo.stamp
	$(INSTALL) --editable '.[plots,docs]'
	touch $@
