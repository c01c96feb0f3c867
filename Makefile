# quota-proxy. `make run` and `make test` need Python 3.11 or newer, its venv module and make;
# everything else they set up themselves in .venv, and only once.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal
WORKERS ?= 1
CONFIG ?= config/proxy.yaml
ARGS ?=

# The first of these that is new enough makes the environment. Say PYTHON=… to choose another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help run test test-long test-plain lint format lock bench economy sandbox demo clean

help: ## show this list
	@grep -E '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.run ## set up, then serve config/proxy.yaml (CONFIG=…, WORKERS=…)
	@exec $(BIN)/python -m proxy serve --config $(CONFIG) --workers $(WORKERS)

test: $(VENV)/.test ## set up all that the tests need, and run them all (ARGS=… goes to pytest)
	@$(PYTEST) $(ARGS)

test-long: $(VENV)/.test ## the same with the long forms: whole minutes, many more examples
	@QUOTA_PROXY_LONG=1 $(PYTEST) $(ARGS)

test-plain: $(VENV)/.test ## the same without the accelerator: no figure is bought with another answer
	@QUOTA_PROXY_ACCELERATOR=false $(PYTEST) $(ARGS)

lint: $(VENV)/.test ## ruff, its formatter, mypy strict and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.test ## mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(VENV)/.venv ## bring the lock files up to date; they name no registry's host
	@$(PIP) 'uv>=0.5'
	@$(COMPILE) --output-file requirements.lock
	@$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock

# flit_core stands in the locks so that installing the project itself downloads nothing unhashed.
COMPILE = echo 'flit_core>=3.9,<4' | $(BIN)/uv pip compile pyproject.toml - --quiet --upgrade \
	--universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links

bench: $(VENV)/.test ## what a hit and a miss cost (wrk is needed; it says so)
	@$(BIN)/python benchmarks/latency.py $(ARGS)

bench-%: $(VENV)/.test ## the benchmark of that name: make bench-spending
	@$(BIN)/python benchmarks/$*.py $(ARGS)

economy: $(VENV)/.test ## what bots cost the provider, beside nginx and Varnish (apt install them)
	@$(BIN)/python benchmarks/economy.py $(ARGS)

sandbox: $(VENV)/.run ## the simulated providers alone
	@exec $(BIN)/python -m proxy sandbox $(ARGS)

demo: $(VENV)/.run ## sandbox, proxy and a swarm of bots, with no network
	@exec $(BIN)/python -m proxy demo $(ARGS)

clean: ## remove what was set up; what is cached or counted (var/) stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# An environment that stands already is used as it is; one whose Python is gone or too old is
# made anew. Each stamp is younger than the locks it was made from, so a second run is instant.
$(VENV)/.venv:
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		test -n "$(PYTHON)" || { echo "no Python 3.11 or newer was found" >&2; exit 1; }; \
		echo "setting up $(VENV) with $(PYTHON)"; \
		$(PYTHON) -m venv --clear $(VENV); }
	@touch $@

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/.venv
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements-dev.lock $(VENV)/.run
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
