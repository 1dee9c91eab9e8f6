# `make` alone lists the targets. Everything lives in .venv; nothing outside this folder is changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BUF_IMAGE := build/protos.binpb

.DEFAULT_GOAL := help
.PHONY: help setup demo up test lint fmt gen docs bench soak proto-image proto-release constraints clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install Greenroom and its tools into .venv

$(READY): pyproject.toml constraints.txt protos/generate.py $(shell find protos/greenroom -name '*.proto')
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Greenroom needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; name another with: make setup PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable '.[server]' --group dev
	@touch $@

demo: $(READY) ## train, push, promote, pull, roll back: the main job in under 90 s
	$(BIN)/python examples/demo.py

up: $(READY) ## start the embedded default and stay until Ctrl-C
	$(BIN)/greenroom up

test: $(READY) ## run the tests
	$(BIN)/python -m pytest

lint: $(READY) proto-image ## check style, types, import rules and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports
	$(BIN)/buf lint $(BUF_IMAGE) --config buf.yaml
	$(BIN)/buf format protos --diff --exit-code
	$(BIN)/buf breaking $(BUF_IMAGE) --against protos/released.binpb --config buf.yaml

fmt: $(READY) ## rewrite Python and protos in the house style
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .
	$(BIN)/buf format protos --write

gen: $(READY) ## generate the Python of the protos again
	$(BIN)/python protos/generate.py

docs: $(READY) ## write docs/errors.md from the protos again
	$(BIN)/python docs/generate.py

bench: $(READY) ## measure against references in the same run; writes build/bench.json
	$(BIN)/python tests/bench/run.py

soak: $(READY) ## run what takes minutes: kills at random under load
	$(BIN)/python -m pytest -m soak --timeout=1800

proto-image: $(READY)
	@mkdir -p build
	@$(BIN)/python protos/image.py $(BUF_IMAGE) --with-comments

proto-release: $(READY) ## take the protos of now as what `make lint` compares with
	$(BIN)/python protos/image.py protos/released.binpb

constraints: $(READY) ## pin what .venv has
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean: ## remove what was built; .venv stays
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
