# Everything a new machine needs: Python >= 3.11 and make.
# The system's Python comes first: it is compiled with optimization, which others (pyenv's, say) are not unless asked
# for, and takes a fifth less for everything. `make PYTHON=python3.12 ...` chooses another.
SUITS  := 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell /usr/bin/python3 -c $(SUITS) 2>/dev/null && echo /usr/bin/python3 || echo python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SMOKE  := .venv-smoke
MUTATED := .venv-mutants
SITE   := .venv-site
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# Where nothing keeps what Python has compiled, each of the hundreds of processes of the tests compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test bench chaos burst soak fuzz coverage mutants smoke screenshots site check lint types arrows schemas fast-tests audit fmt lock image sbom pin secrets clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(READY)

install: $(READY) ## Make .venv with the program and all that it needs

demo: $(READY) ## Rebalance seven simulated accounts from start to end (KEEP=1 leaves it running)
	@$(BIN)/rebalancer sandbox demo $(if $(KEEP),--keep)

test: $(READY) ## Run the whole test suite against real PostgreSQL, Redis, Celery and the sandbox
	@$(BIN)/python -m tests.tools.browser
	$(BIN)/python -m tests.tools.in_memory $(BIN)/pytest --numprocesses=8 --dist=worksteal -m 'not alone'
	$(BIN)/pytest -m alone $$(grep -rl --include='*.py' 'mark\.alone' tests)

RUNS ?= 10
SEED ?= 1
JOBS ?= 4

chaos: $(READY) ## Everything fails at once, RUNS=10 times from SEED=1 on; judged from outside by what became of the money
	$(BIN)/rebalancer sandbox chaos --runs $(RUNS) --seed $(SEED) --jobs $(JOBS)

SIGNALS  ?= 10000
ACCOUNTS ?= 7
MINUTES  ?= 60

burst: $(READY) ## SIGNALS=10000 at once for ACCOUNTS=7: none lost, none twice, all in order
	$(BIN)/rebalancer sandbox burst --signals $(SIGNALS) --accounts $(ACCOUNTS)

soak: $(READY) ## Trade for MINUTES=60: memory, handles, connections and rows stay flat
	$(BIN)/rebalancer sandbox soak --minutes $(MINUTES)

BENCH_RUNS ?= 20
EVENTS     ?= 1000000

bench: $(READY) ## From published to recorded, against floors and peers of the same minute, and what waiting costs: tables, and JSON in build/
	$(BIN)/python -m bench.hot_path $(BENCH_RUNS) $(CASES)
	$(BIN)/python -m bench.ratios $(EVENTS) $(BENCH_RUNS)
	$(BIN)/python -m bench.idle

PURE    := domain planning risk
RECORDS := approvals dispatch_claims event_notices events halts holds lease orders outstanding ownership recovered_orders \
  run_ledger sent_orders signal_intake states transitions unaccounted_orders unacknowledged_orders unreported_fills
RUNS_PROGRAMS := test_dependencies.py test_lean.py test_secrets.py
COUNTED := $(BIN)/coverage run --data-file=build/coverage
comma   := ,
space   := $() $()

coverage: $(READY) ## Branches that the tests take: in the pure rooms the fast ones, in the states of events and orders the ledger's
	@mkdir -p build
	$(COUNTED).pure -m pytest -q --hypothesis-profile=repeatable $(RUNS_PROGRAMS:%=--ignore=tests/unit/%) tests/unit tests/property
	$(COUNTED).ledger -m pytest -q tests/integration/state_machine tests/integration/ledger
	@for room in $(PURE); do $(BIN)/coverage report --data-file=build/coverage.pure --include="rebalancer/$$room/*" || exit 1; done
	$(BIN)/coverage report --data-file=build/coverage.ledger --include=$(subst $(space),$(comma),$(RECORDS:%=rebalancer/ledger/%.py))

SECONDS ?= 60

fuzz: $(READY) ## Feed every decoder with bytes of chance, SECONDS=60 each; findings go to build/fuzz
	@$(BIN)/python -m tests.fuzz.every $(SECONDS) build/fuzz

$(SMOKE)/.ready: requirements-smoke.lock requirements-build.lock pyproject.toml
	$(PYTHON) -m venv $(SMOKE)
	$(SMOKE)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-smoke.lock
	$(SMOKE)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	$(SMOKE)/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps .
	@touch $@

smoke: $(SMOKE)/.ready ## Containers on a real Docker engine: kills, restarts, scaling, upgrades, the whole demo
	$(SMOKE)/bin/python -m pytest --numprocesses=2 --dist=loadfile --timeout-method=signal tests/smoke

screenshots: $(READY) ## Draw every flow anew into docs/images, as a browser and a terminal show it
	@$(BIN)/python -m tests.tools.browser
	$(BIN)/pytest -q tests/pages/pictures.py

$(SITE)/.ready: requirements-site.lock
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-site.lock
	@touch $@

site: $(SITE)/.ready ## The documents as pages that can be searched, in build/site; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict

$(MUTATED)/.ready: requirements-mutation.lock requirements-build.lock pyproject.toml
	$(PYTHON) -m venv $(MUTATED)
	$(MUTATED)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-mutation.lock
	$(MUTATED)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	$(MUTATED)/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps .
	@touch $@

mutants: $(MUTATED)/.ready ## Change planning, rules and order states in small ways; lists each change that no fast test notices
	PATH="$(abspath $(MUTATED))/bin:$$PATH" nice -n 19 mutmut run --max-children $(or $(CHILDREN),1)
	$(MUTATED)/bin/python -m tests.tools.mutants

check: lint types arrows schemas fast-tests ## All that must hold before a commit is pushed; the parts are targets of their own

lint: $(READY) ## Ruff: style and form
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy, strictly
	$(BIN)/mypy

arrows: $(READY) ## import-linter: which package may use which
	$(BIN)/lint-imports

schemas: $(READY) ## The compose file and the workflows against their schemas
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yaml docker/compose.*.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml

fast-tests: $(READY) ## The tests that need no server
	$(BIN)/pytest -q --numprocesses=2 tests/unit tests/property

audit: $(READY) ## Ask the package index for known vulnerabilities of what we ship; fails where it cannot look at all of it
	$(BIN)/uvx --from 'pip-audit>=2.10,<3' pip-audit --strict --disable-pip --require-hashes \
	  -r requirements.lock -r requirements-build.lock -r requirements-sbom.lock

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
	$(COMPILE) --extra mutation -c requirements-dev.lock -o requirements-mutation.lock
	echo hatchling | $(COMPILE:pyproject.toml=-) -c requirements-dev.lock -o requirements-build.lock
	echo 'mkdocs-material>=9.7,<10' | $(COMPILE:pyproject.toml=-) -c requirements-dev.lock -o requirements-site.lock
	echo 'cyclonedx-bom>=7.5,<8' | $(COMPILE:pyproject.toml=-) -c requirements-dev.lock -o requirements-sbom.lock

image: ## Build the container images; BUILD_FLAGS="--network host" where only the host reaches the package index
	docker build $(BUILD_FLAGS) $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) --target sandbox --tag ibkr-rebalancer-sandbox:$(VERSION) .
	docker build $(BUILD_FLAGS) $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) --target product --tag ibkr-rebalancer:$(VERSION) .
	docker build --tag ibkr-rebalancer-redis:$(VERSION) $(if $(REDIS_IMAGE),--build-arg REDIS_IMAGE=$(REDIS_IMAGE)) docker/redis

sbom: ## Take the list of its parts (CycloneDX) out of each image that is built, into build/
	@mkdir -p build
	for name in ibkr-rebalancer ibkr-rebalancer-sandbox; do \
	  docker run --rm --network none $$name:$(VERSION) cat /opt/rebalancer/sbom.cdx.json >build/$$name-$(VERSION).cdx.json || exit 1; done

pin: ## Write the digests of the images that are used from elsewhere into .env: from then on exactly these bytes
	@sh docker/pin.sh

secrets: ## Make the folders of a deployment: random passwords, empty files for your own keys, your accounts
	@sh docker/prepare.sh

clean: ## Remove the environment and the demo; every other ledger stays (rebalancer delete-ledger)
	@if [ -x $(BIN)/rebalancer ] && [ -d .rebalancer/demo ]; then $(BIN)/rebalancer down --data .rebalancer/demo; fi
	rm -rf $(VENV) $(SMOKE) $(MUTATED) $(SITE) mutants .rebalancer/demo
