# All set-up is part of every target that needs it, and is done once.
.DEFAULT_GOAL := help
PYTHON ?= python3
INSTALLED := .venv/.installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: help install repro flow full ui test bench lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv with the exact versions of requirements.lock

$(INSTALLED): requirements.lock
	@test -x .venv/bin/python || $(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@touch $@

repro: $(INSTALLED) ## run the whole pipeline, from raw text to reports/report.md, stage by stage
	dvc repro

flow: $(INSTALLED) ## the same graph through Prefect, two stages at a time
	python -m flows run --workers 2

full: $(INSTALLED) ## all objectives, with flows/full.yaml, in hours; publishes reports/full
	python -m flows full --workers 2

ui: $(INSTALLED) ## open the MLflow UI over all logged runs, on http://127.0.0.1:5000
	python -m flows ui

test: $(INSTALLED) ## run the tests
	python -m pytest -n 2 --dist loadfile

bench: $(INSTALLED) ## measure speed against transformers' Trainer, side by side
	python -m tests.benchmarks.training

lint: $(INSTALLED) ## check style and types
	ruff check .
	mypy

clean: ## remove what the pipeline made (not the environment, not DVC's cache)
	rm -rf data models .state
