# Every target describes itself: `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help
help: ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Install what this machine lacks: system packages, a virtual environment, locked dependencies
	@$(BIN)/trunkline doctor --install --quiet

$(STAMP): requirements-dev.txt requirements-bootstrap.txt pyproject.toml
	@PYTHON=$(PYTHON) deploy/make-venv.sh $(VENV)
	@touch $@

.PHONY: demo
demo: setup ## Set everything up and run the main job visibly: two calls, a handoff, a campaign dialed to the end
	@$(BIN)/trunkline demo

.PHONY: run
run: setup ## Run the whole stack in the foreground (Ctrl-C ends it); .trunkline/demo.json tells scripts what they need
	@$(BIN)/trunkline up

.PHONY: down
down: ## Stop what `trunkline up --detach` started
	@$(BIN)/trunkline down

.PHONY: test
test: setup ## Unit, database and live tests
	@$(BIN)/pytest tests/unit tests/db --numprocesses auto --maxprocesses 4 --dist loadfile; first=$$?; \
		$(BIN)/pytest tests/live && exit $$first

.PHONY: check
check: $(STAMP) ## Formatting, lint, types, the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

.PHONY: fmt
fmt: $(STAMP) ## Format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: prove
prove: setup ## Run every proof at full size with its control (ONLY=name,name; sizes: PROVE_CONTACTS=1000 …)
	@$(BIN)/python -m tests.prove

.PHONY: bench
bench: setup ## Measure calls, dial decisions, imports and claims against their targets (BENCH=name picks; stops by itself)
	@$(BIN)/python -m bench

.PHONY: lock
lock: $(STAMP) ## Lock what pyproject.toml names by hash; what is locked keeps its version unless UPGRADE=1
	@$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-annotate -q $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-annotate -q $(if $(UPGRADE),--upgrade) pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

.PHONY: clean
clean: ## Stop the stack and remove its data and the virtual environment
	@[ ! -x $(BIN)/trunkline ] || $(BIN)/trunkline down --purge --yes
	@rm -rf .trunkline $(VENV)
