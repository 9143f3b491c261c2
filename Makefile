# Two commands for a newcomer: `make demo` and `make test`. They need Python 3.11+, pip and make.
# Another interpreter: `make test PYTHON=python3.13`.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
CODE := $(wildcard src tests benchmarks examples tools conftest.py)

# pyright brings its node from PyPI and takes no other.
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Tests start hundreds of processes: none should compile the package anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/ctxlog ## a small service under 200 concurrent requests, and what its lines prove
	@$(BIN)/python examples/demo.py

# One after the other, shown as they run: `make lint suite pythons`.
.PHONY: test
test: .venv/dev ## lint, suite and pythons side by side: what must pass before a commit
	@$(BIN)/python -m tools.lanes

.PHONY: lint
lint: ruff types layers ## ruff, mypy, pyright, import-linter

.PHONY: ruff
ruff: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: types
types: .venv/dev
	$(BIN)/mypy $(CODE)
	$(BIN)/pyright --pythonpath $(BIN)/python $(CODE)

.PHONY: layers
layers: .venv/dev
	NO_COLOR=1 $(BIN)/lint-imports --no-logo

.PHONY: suite
suite: .venv/dev ## the tests, the docs' blocks and the docstrings' examples, with branch coverage
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: pythons
pythons: .venv/dev ## the same tests on each other Python that is installed
	@$(BIN)/python tools/pythons.py

MINUTES ?= 10
.PHONY: soak
soak: .venv/dev ## the property tests for MINUTES=10: random seeds, many more examples, a busy collector
	@nice -n 15 $(BIN)/python -m tools.soak --minutes $(MINUTES)

.PHONY: bench
bench: .venv/dev ## what a line costs beside its floor and its rivals; writes the table into the docs
	$(BIN)/python -m benchmarks --write

.PHONY: picture
picture: .venv/dev ## the docs' picture of the console
	$(BIN)/python tools/picture.py

.PHONY: fix
fix: .venv/dev ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: clean
clean: ## remove the environments and what the tools leave
	rm -rf .venv .venv-* .coverage .coverage.* .hypothesis .*_cache build dist

# ---- the environment: made once, and again when pyproject.toml changes

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ctxlog needs Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(PIP) --upgrade 'pip>=25.1' # it knows --group
	@touch $@

.venv/ctxlog: .venv/made pyproject.toml
	@$(PIP) --editable .
	@touch $@

.venv/dev: .venv/made pyproject.toml
	@$(PIP) --editable '.[registry]' --group dev
	@touch $@ .venv/ctxlog
