# The verbs of this project, the same for people and for CI. `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test test-slow check format lint types imports lock crash-demo dev-venv clean

# The first Python on PATH that is new enough; `make PYTHON=/path/to/python run` overrides it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
# No look at PyPI for a newer pyright.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
FIRST_PROMPT := What is 19 plus 23, and what do you know about durable agents?

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

run: .venv/run.stamp ## install, start a Postgres of its own unless DATABASE_URL is set, serve, send a first prompt
	$(BIN)/holdfast serve --first-prompt "$(FIRST_PROMPT)"

# Files are kept together: their tests share a database and workers.
PYTEST := $(BIN)/python -m pytest -q --numprocesses 3 --dist loadfile

test: dev-venv ## run the tests; COVERAGE=--cov measures, with the floor of pyproject.toml, and takes half as long again
	$(PYTEST) -m "not slow and not alone" $(COVERAGE)
	$(BIN)/python -m pytest -q -m "alone and not slow"

test-slow: dev-venv ## run the tests that take more than ten seconds each
	$(PYTEST) -m slow

check: dev-venv ## everything CI asks for: format, lint, import contracts, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/pyright
	$(MAKE) --no-print-directory test test-slow COVERAGE=--cov

format: dev-venv ## rewrite the code in house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: dev-venv ## format check and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

imports: dev-venv ## the import contracts: imports go down only
	$(BIN)/lint-imports --no-logo

types: dev-venv ## pyright, strict on app/
	$(BIN)/pyright

crash-demo: .venv/run.stamp ## kill -9 a worker in the middle of a step and watch the run finish elsewhere
	$(BIN)/python -m app.crash_demo

dev-venv: .venv/dev.stamp ## install what development needs

clean: ## remove what the other verbs made in this directory
	rm -rf .venv .venv-lock .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* dist

# Debian's Python may come without ensurepip; then the pip of the machine puts one into the new environment.
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Holdfast needs Python 3.11 or newer; none found on PATH. Install it, or: make PYTHON=/path/to/python run" >&2; exit 1; }
	@echo "Creating .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; $(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip --python .venv/bin/python --quiet install pip; }

.venv/run.stamp: requirements.lock | .venv/bin/python
	@echo "Installing requirements.lock (the first time takes about a minute)"
	@$(PIP) --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	@echo "Installing requirements-dev.lock"
	@$(PIP) --requirement requirements-dev.lock
	@touch $@

LOCK := .venv-lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --annotation-style line \
	--no-emit-index-url --no-emit-find-links --no-emit-options --no-emit-trusted-host --build-deps-for editable

lock: ## resolve pyproject.toml into requirements.lock and requirements-dev.lock; UPGRADE=--upgrade takes newer versions
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip --quiet install pip-tools==7.6.2
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) $(UPGRADE) --extra embedded --extra demo --output-file requirements.lock pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) $(UPGRADE) --all-extras --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	rm -rf .venv-lock
