# Every target sets up what it needs: `make demo` and `make test` work on a fresh machine.
.SUFFIXES:

# The clock and the seed of the notebooks' stored outputs.
export ALPHAPULSE_NOW = 2026-01-31T12:00:00Z
export ALPHAPULSE_SEED = 20260101

# Programs are run as modules: a path with a space breaks the first line of a script.
PYTHON_M = .venv/bin/python -m
# The demo, the tests and the benchmarks have clocks of their own.
UNSET = env -u ALPHAPULSE_NOW -u ALPHAPULSE_SEED
USE = .venv/.use
TEST = .venv/.test

help:
	@echo "make demo       a live dashboard over a synthetic desk"
	@echo "make test       lint, the notebooks and all tests"
	@echo "make bench      measure what the design promises"
	@echo "make soak       ten minutes of viewers who come and go (MINUTES, VIEWERS), then 200"
	@echo "                evaluators of alerts that are killed"
	@echo "make lint       ruff and mypy"
	@echo "make notebooks  run the notebooks and compare their outputs"
	@echo "make accept     run the notebooks and keep their outputs"
	@echo "make clean      remove everything that make made"

demo: $(USE)
	@$(UNSET) $(PYTHON_M) alphapulse_nb.cli demo $(ARGS)

test: $(TEST)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint notebooks
	@$(PYTHON_M) tests.browser --install
	@$(PYTHON_M) tests.programs --install
	@# The first ones wait for much of their time, and browsers do not: two of them fill two cores.
	$(UNSET) $(PYTHON_M) pytest -n 5 --dist loadfile -m "not browser" $(ARGS)
	$(UNSET) $(PYTHON_M) pytest -n 2 --dist loadfile -m browser $(ARGS)

lint: $(TEST)
	$(PYTHON_M) ruff check .
	$(PYTHON_M) ruff format --check .
	$(PYTHON_M) mypy

notebooks: $(TEST)
	$(PYTHON_M) tests.notebooks -q

accept: $(TEST)
	$(PYTHON_M) tests.notebooks --accept

bench: $(TEST)
	@$(PYTHON_M) tests.browser --install
	@set -e; for file in $$(grep -l __main__ benchmarks/*.py | grep -v soak); do \
		$(UNSET) $(PYTHON_M) benchmarks.$$(basename "$$file" .py); done

soak: $(TEST)
	@$(UNSET) $(PYTHON_M) benchmarks.soak
	$(UNSET) KILLS=200 $(PYTHON_M) pytest -q --timeout 7200 -o faulthandler_timeout=7200 \
		tests/alerts/test_killed.py

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist test-results

$(USE): pyproject.toml constraints.txt scripts/venv
	@scripts/venv .
	@touch $@

$(TEST): pyproject.toml constraints.txt scripts/venv
	@scripts/venv ".[test]"
	@touch $@ $(USE)

.PHONY: help demo test lint notebooks accept bench soak clean
