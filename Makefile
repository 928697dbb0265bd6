# Everything a new machine needs: Python >= 3.11 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(READY)

demo: $(READY) ## Rebalance seven simulated accounts from start to end (KEEP=1 leaves it running)
	@$(BIN)/rebalancer sandbox demo $(if $(KEEP),--keep)

test: $(READY) ## Run the whole test suite against real PostgreSQL, Redis, Celery and the sandbox
	$(BIN)/pytest --numprocesses=2 --dist=loadfile -m 'not alone'
	$(BIN)/pytest -m alone

check: $(READY) ## Lint, types, import arrows and the fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit tests/property

fmt: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
  --no-header pyproject.toml

lock: $(READY) ## Renew the hash-pinned lock files from pyproject.toml
	$(COMPILE) -o requirements.lock
	$(COMPILE) --extra local --extra dev -o requirements-dev.lock
	$(COMPILE) --extra sandbox -c requirements-dev.lock -o requirements-sandbox.lock
	$(COMPILE) --extra smoke -c requirements-dev.lock -o requirements-smoke.lock
	echo hatchling | $(COMPILE:pyproject.toml=-) -c requirements-dev.lock -o requirements-build.lock

clean: ## Remove the environment and everything the sandbox left
	rm -rf $(VENV) .rebalancer
