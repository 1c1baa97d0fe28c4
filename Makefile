# One word per job; each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: demo test check lint fast docs soak bench setup setup-dev clean

demo: setup                 ## the whole pipeline on a two-camera scene with known truth
	$(RUN) run_pipeline.py demo --out out/demo

test: setup-dev             ## every test; installs the servers that some tests start, where it may
	sh tests/system_packages.sh
	$(RUN) -m pytest -q -m "not soak and not alone" -n logical --maxprocesses 4 --dist worksteal
	$(RUN) -m pytest -q -m "alone and not soak"

check: lint fast            ## what every change must pass

lint: setup-dev             ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

fast: setup-dev             ## the tests that take seconds
	$(RUN) -m pytest -q -m "not slow and not soak"

docs: setup                 ## the pages of docs/reference, from the code
	$(RUN) -m pipeline.cli.reference docs/reference

soak: setup-dev             ## live cameras under random faults for SOAK_MINUTES (10): nothing may grow
	$(RUN) -m pytest -q -m soak

bench: setup                ## speed and recall against the nearest thing a user would pick
	$(RUN) benchmarks/end_to_end.py

setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev

$(VENV)/.runtime: requirements.txt constraints.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -r requirements.txt
	$(RUN) -m reid.fpr.vnni
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(VENV)/bin/pip install -q -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) out
