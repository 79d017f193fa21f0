# `make demo` runs the demo site, `make test` runs all tests. Both install first what is missing.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The system's Python where there is one: Apache's user cannot run an interpreter that lies in a private home folder.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV := $(CURDIR)/.venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
BUILD_LOG := build/install.log
export CARGO_TARGET_DIR ?= $(CURDIR)/target
export MOD_WSGI_EXPRESS ?= $(VENV)/bin/mod_wsgi-express

.PHONY: help demo test bench install system-packages test-packages format lint unit-tests python-tests integration-tests clean

help: ## Show this.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: system-packages install ## Build everything and run the demo site at http://localhost:8000/.
	@DEMO_DATA=$(CURDIR)/build/demo PYTHONDONTWRITEBYTECODE=1 exec $(VENV)/bin/python examples/mysite/manage.py demo

test: test-packages install lint unit-tests python-tests integration-tests ## Build everything and run all tests.
	@echo "==> all tests passed"

bench: install ## Compare with mod_wsgi, gunicorn and uwsgi.
	@benches/compare

system-packages:
	@echo "==> system packages"
	@PYTHON=$(PYTHON) scripts/install-system-packages.sh

test-packages:
	@echo "==> system packages"
	@PYTHON=$(PYTHON) scripts/install-system-packages.sh --tests

$(VENV)/ready: Makefile
	@echo "==> Python environment in .venv"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -q --upgrade pip
	@$(PIP) install -q 'setuptools>=77' 'setuptools-rust>=1.11' wheel 'django~=5.2' flask pytest
	@touch $@

install: $(VENV)/ready
	@echo "==> build and install (the first time takes some minutes)"
	@mkdir -p build && rm -rf build/lib* build/bdist*
	@$(PIP) install --no-build-isolation --no-deps --force-reinstall -v . 2>&1 | tee $(BUILD_LOG) | sed -un 's/^ *\(Compiling\|Finished\) /    \1 /p' \
		|| { tail -n 60 $(BUILD_LOG) >&2; exit 1; }

lint:
	@echo "==> format and lints"
	@cargo fmt --all --check
	@cargo clippy --quiet --workspace --all-targets -- -D warnings

unit-tests:
	@echo "==> unit tests"
	@cargo test --quiet --workspace --exclude wsgi-tests

python-tests: $(VENV)/ready
	@echo "==> tests of the Python package"
	@$(VENV)/bin/python -m pytest -q -p no:cacheprovider python/tests

integration-tests:
	@echo "==> integration tests"
	@cargo test --quiet --package wsgi-tests

clean: ## Remove everything that was built.
	@rm -rf build $(VENV) && cargo clean
