# Each target works alone on a fresh clone, in any order: it makes .venv first, from requirements.lock (what runs), and adds
# the rest of requirements-dev.lock where tests and linters are needed. Needs Python >= 3.11, git and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock'
# What one machine runs with: a cluster's Dask is none of it.
RUNS = --extra sign --extra edge --extra multibuffer --extra awslc
# Worker processes of `make test`; 0: the tests are in one. A file's tests stay together, and files in their order, so that
# the long ones of tests/bench and tests/faults come first.
WORKERS ?= 2
PARALLEL = --dist loadfile --no-loadscope-reorder
.DEFAULT_GOAL := help
# Bytecode is kept, whatever the environment says: the tests start the program hundreds of times, and each of these
# processes would compile all of it.
export PYTHONDONTWRITEBYTECODE =

help:            ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv --clear .venv
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed: .venv/runtime requirements-dev.lock
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

demo: .venv/runtime          ## sign the responses of 100,000 certificates in ./demo, and say how to serve them
	@rm -rf demo
	$(BIN)/pregen demo --dir demo --rows 100000

incident: .venv/runtime      ## act out the mistake that this is made for in ./incident (docs/incident.md)
	@rm -rf incident
	$(BIN)/python -m tests.incident --dir incident

test: .venv/installed lint   ## linters, types, import contracts and the tests
	$(BIN)/pytest --durations=20 -n $(WORKERS) $(PARALLEL)

check: .venv/installed lint  ## the daily loop: linters, types, and the tests without processes, servers and judges
	$(BIN)/pytest -q -m "not slow and not whole" --hypothesis-profile=quick -n 2 $(PARALLEL)

test-slow: .venv/installed   ## the tests that take minutes
	$(BIN)/pytest -m slow --durations=20

lint: .venv/installed        ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

bench: .venv/installed       ## the figures of docs/benchmarks.md, as ratios to raw signature rates
	$(BIN)/python -m bench

judges:                      ## third-party programs of Debian that check our output (root)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends openssl nginx-light golang-golang-x-crypto-dev golang-cfssl wrk nghttp2-client haproxy gnutls-bin prometheus strace

lock:                        ## refresh requirements.lock and requirements-dev.lock, in the same versions (needs uv)
	$(COMPILE) --all-extras --group dev --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) $(RUNS) --group build --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv demo incident bench/results

.PHONY: help demo incident check test test-slow lint bench judges lock clean
