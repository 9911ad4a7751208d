# The targets that people and CI share. On a machine with Python >= 3.11 and nothing else, `make demo` and `make test`
# work as they are: they fetch uv into .uv/, and uv makes the virtual environments from uv.lock.

PYTHON ?= python3
UV ?= $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
RUN := .venv/bin/python
RUNTIME_ENVIRONMENT := .venv-runtime
DEMO := build/demo

.PHONY: help demo test test-slow test-runtime lint format setup setup-runtime benchmark clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort

demo: setup setup-runtime ## Convert the bundled preset and classify three sentences with the runtime alone.
	@mkdir -p $(DEMO)
	.venv/bin/edgedistil convert --preset smart_home_tiny_en -o $(DEMO)/smart_home.tflite --force
	$(RUNTIME_ENVIRONMENT)/bin/python demos/quickstart.py $(DEMO)/smart_home.tflite

test: setup ## The default test suite: minutes on two cores.
	$(RUN) -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: setup ## Everything, the exhaustive Unicode runs included.
	$(RUN) -m pytest -m "slow"

test-runtime: setup-runtime ## The runtime's tests, in an environment that has nothing but the runtime.
	$(RUNTIME_ENVIRONMENT)/bin/python -m pytest tests/runtime

lint: setup ## ruff and mypy.
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: setup ## Format the code.
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

benchmark: setup ## DistilBERT-base: this converter's file against KerasHub's own LiteRT export.
	$(RUN) benchmarks/against_keras_hub_export.py

setup: .venv/.complete

setup-runtime: $(RUNTIME_ENVIRONMENT)/.complete

.venv/.complete: uv.lock pyproject.toml converters/pyproject.toml runtime/pyproject.toml | uv
	$(UV) sync --frozen --all-packages
	@touch $@

$(RUNTIME_ENVIRONMENT)/.complete: uv.lock runtime/pyproject.toml | uv
	UV_PROJECT_ENVIRONMENT=$(RUNTIME_ENVIRONMENT) $(UV) sync --frozen --package edgedistil-runtime --no-default-groups --group test
	@touch $@

.PHONY: uv
uv:
	@test -x "$(UV)" || command -v "$(UV)" >/dev/null || $(PYTHON) tools/bootstrap_uv.py .uv

clean: ## Remove what the other targets made.
	rm -rf .venv $(RUNTIME_ENVIRONMENT) .uv build .mypy_cache .ruff_cache .pytest_cache
