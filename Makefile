# `make demo` and `make test` need only Python 3.11 or 3.12, git and make; all else comes from uv.lock.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do $$p -c 'import sys; print(sys.executable if sys.version_info[:2] in {(3, 11), (3, 12)} else exit(1))' 2>/dev/null && break; done)
UV := $(or $(shell command -v uv),.uv/bin/uv)
RETRUE := .venv/bin/retrue
PYTEST_ARGS ?=

export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help env demo test check format bench up down status base-image clean

help: ## this page
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: .venv/.synced ## the environment, from the lock

.uv/bin/uv: ; @$(or $(PYTHON),$(error Python 3.11 or 3.12 is needed; name it: make PYTHON=/path/to/python3.11)) scripts/bootstrap_uv.py

.venv/.synced: uv.lock pyproject.toml | $(filter .uv/bin/uv,$(UV))
	@echo 'Making .venv from uv.lock, once: about 2 GB and a minute or two ...'
	@$(UV) sync --quiet --locked --all-extras --python $(PYTHON) --compile-bytecode
	@touch $@

demo: env ## the whole loop on real flights, from nothing
	@$(RETRUE) demo

test: env ## the whole test suite
	.venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: env ## format, lint, strict types, import contract
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: env ## apply the format and the safe fixes
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: env ## benchmarks against peers, results in bench/results/
	@$(UV) sync --quiet --locked --all-extras --group bench
	.venv/bin/python -m bench.pipeline
	.venv/bin/python -m bench.data
	.venv/bin/python -m bench.swap
	.venv/bin/python -m bench.serving
	.venv/bin/python -m bench.image
	.venv/bin/python -m bench.durability
	.venv/bin/python -m bench.fuzz
	.venv/bin/python -m bench.drift
	.venv/bin/python -m bench.loop
	.venv/bin/python -m bench.alarms

up: env ## start everything and leave it running
	@$(RETRUE) up

down: ## stop everything
	@$(RETRUE) down

status: ## what runs and what serves
	@$(RETRUE) status

base-image: env ## a base image from Debian packages, where none can be pulled
	@.venv/bin/python -m retrue.base_image

clean: ## remove environment and caches; .retrue/ (your data and models) stays
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
