# The only entry point a newcomer needs. `make` alone shows what there is.
.DEFAULT_GOAL := help
.PHONY: help conformance docs docs-check keep session test test-pythons test-lowest test-postgresql security bench profile lint format lab site serve lock dist clean
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
LOCK ?= requirements.lock
BIN := $(VENV)/bin
READY := $(VENV)/installed
unexport PYTHONDONTWRITEBYTECODE # the tests start hundreds of programs, and each would compile all that it imports

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

docs: $(READY) ## run the notebooks if anything changed; write their outputs and README.md anew
	@$(BIN)/python -m tools.docs build

docs-check: $(READY) ## run the notebooks; fail if they or README.md are stale, wrong or flaky, and say where
	@$(BIN)/python -m tools.docs check

test: $(READY) ## run the tests, with branch coverage of the rooms that must have all of it
	@$(BIN)/python -m pytest --cov

test-pythons: $(READY) ## run docs-check and test under each Python from 3.11 to 3.14 that this machine has
	@$(BIN)/python -m tools.pythons docs-check test

test-lowest: $(READY) ## run the tests with the lowest versions of what both distributions ask for
	@$(BIN)/python -m tools.lowest .venv-lowest.lock
	@$(MAKE) --no-print-directory VENV=.venv-lowest LOCK=.venv-lowest.lock test

test-postgresql: $(READY) ## run over PostgreSQL all tests that need not know the database; and kill it more often
	@DATABASE=postgresql KILLS=1000 $(BIN)/python -m pytest

security: $(READY) ## run the slow tests of what an attacker or a fault can do; some minutes
	@$(BIN)/python -m pytest -m security

lint: $(READY) ## check formatting, style, types, doors, and that each promise has a test
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tools.promises

format: $(READY) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## measure server and client beside others, in half an hour; less: ARGS=--short, one part: ARGS=http
	@$(BIN)/python -m bench $(ARGS)

profile: $(READY) ## show where the time of a GET and of a POST goes
	@$(BIN)/python -m bench.profile $(ARGS)

conformance: $(READY) ## try a server, rule by rule and by the tour: URL=http://127.0.0.1:8090; more: ARGS="--junit FILE"
	@$(BIN)/walletsync conformance $(ARGS) $(URL); rules=$$?; \
		$(BIN)/python -m tools.docs try $(URL) && exit $$rules

lab: $(READY) ## open a copy of the notebooks in JupyterLab; its options: ARGS=--no-browser
	@$(BIN)/python -m tools.docs lab $(ARGS)

keep: $(READY) ## take over what was edited in that copy: NOTEBOOK=02-syncing
	@$(BIN)/python -m tools.docs keep $(NOTEBOOK)

site: $(READY) ## write the site to .docs/site, from the notebooks as they are; no page of it needs another host
	@$(BIN)/python -m tools.site

serve: $(READY) ## run a server on 127.0.0.1:8090; settings: ARGS="--accounts open"
	@$(BIN)/walletsync-server serve $(ARGS)

session: $(READY) ## do what docs/session.md says, and write its outputs anew
	@$(BIN)/python -m tools.docs.transcript

lock: ## pin what requirements.lock lacks, with hashes, and of that what the image has; everything anew: UPGRADE=--upgrade
	@$(PYTHON) -m venv .lock-venv
	@.lock-venv/bin/python -m pip --quiet install "$$(grep --only-matching '^uv==[^ ]*' requirements.lock)"
	@.lock-venv/bin/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes $(UPGRADE) \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links --no-emit-package walletsync \
		--group pyproject.toml:dev pyproject.toml server/pyproject.toml --output-file requirements.lock
	@.lock-venv/bin/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links --no-emit-package walletsync \
		--constraint requirements.lock --group pyproject.toml:image --all-extras server/pyproject.toml \
		--output-file deploy/image.lock

dist: $(READY) ## build both distributions into dist/, check and try them; to publish them: RELEASE=1
	@$(BIN)/python -m tools.dist $(if $(RELEASE),--release)

clean: ## remove what make made, but no wallet, and no data of a server
	@rm -rf .venv .venv-* .lock-venv dist .bench .docs .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): $(LOCK) pyproject.toml server/pyproject.toml tools/install.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "walletsync needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing into $(VENV), once; this takes one to three minutes …" >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python tools/install.py $(LOCK) $(VENV)/install.log . server
	@touch $@
