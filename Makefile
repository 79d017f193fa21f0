# make demo   installs what is missing, builds, and runs the demo site at http://localhost:8000/
# make test   the same set-up, then all tests
# make bench  compares with mod_wsgi, Apache alone, gunicorn, granian, uwsgi and nginx; takes an hour or two
# make venv   builds and installs into .venv only
# make gunicorn-suites  gunicorn's own suites about ASGI, against this server
# make fuzz   mutated input for everything that reads input; FUZZ_SECONDS=30 each, TARGETS="session codec" for some
# make deny   licences, sources, versions and advisories of what is built in
# make instructions  counts the instructions of what each request needs, where valgrind is installed
# make loom   tries each order of events of the protocols on atomics
# make panics brings a panic about in each hook, callback and phase of a request
# make msrv   builds with the oldest Rust that is promised
# make rustdoc  the pages for contributors, without a warning; a part of the lints
# make wheel  builds one wheel for every Python into dist/, which needs no compiler where it is installed
# make deb    makes a package for Debian and Ubuntu of the wheel
# make dist   makes and checks what a release consists of, in dist/
# make container  follows examples/container in a Debian made for it, with the wheel in dist/. Root only
# make kubernetes validates examples/kubernetes by the published schemas
# make systems  each way to install it on each system; prints a table. Root only, hours
# make docs   makes the documentation a site, in build/docs
# make diagrams, make captures  make the pictures of the documentation anew
# make windows  compiles and links what there is for Windows, in a bare Debian 13; root only
# make clean  removes what was built

PORT ?= 8000
# As root the system's interpreter: one in a private home cannot be run by the user that Apache's processes have.
PYTHON ?= $(if $(filter 0,$(shell id -u)),/usr/bin/python3,python3)
PLACE := $(shell scripts/public-directory)
VENV := $(PLACE)/.venv
SITE := $(PLACE)/examples/mysite
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# bindgen's libclang is that of PyPI, where there is one for the machine.
LIBCLANG := $(if $(filter x86_64 aarch64 arm64,$(shell uname -m)),libclang)
ifneq ($(LIBCLANG),)
export LIBCLANG_PATH ?= $(VENV)/libclang
endif
export PYO3_PYTHON := $(VENV)/bin/python

RUST := Cargo.toml Cargo.lock build.rs .cargo src wire unix websocket engine supervisor apxs httpd-conf express
SOURCES := $(shell find $(RUST) setup.py pyproject.toml python/mod_wsgi -type f -not -name '*.pyc')
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check
# What is installed has to be readable for the user of Apache's processes.
PUBLIC := umask 022 &&

.PHONY: demo test bench instructions sanitize wheel sdist deb dist docs diagrams captures autobahn gunicorn-suites fuzz deny loom panics msrv rustdoc venv windows clean system rust lint unit matrix pythons integration newcomer systems container kubernetes
.NOTPARALLEL:

demo: venv
ifneq ($(PLACE),$(CURDIR))
	@echo "==> Other users cannot get into $(CURDIR): the demo runs from $(SITE)"
	@$(PUBLIC) mkdir -p $(SITE) && cp -R examples/mysite/. $(SITE) && chmod -R a+rX $(SITE)
endif
	@$(PUBLIC) DEMO_DATA=$(PLACE)/build/demo PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python $(SITE)/manage.py demo --port $(PORT)

test: lint unit pythons integration

lint: venv
	@if cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; then \
		echo "==> Format and lints"; \
		cargo fmt --all --check && cargo clippy --quiet --workspace --all-targets -- -D warnings && $(MAKE) --no-print-directory rustdoc; \
	else \
		echo "==> Format and lints are not checked: this Rust comes without rustfmt or clippy"; \
	fi

# Every link in a comment leads somewhere.
rustdoc: venv
	@echo "==> Documentation of the code"
	@RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items --workspace

unit: venv
	@echo "==> Unit tests"
	@cargo test --quiet --no-fail-fast --workspace --exclude wsgi-tests
	@$(VENV)/bin/python -m pytest -q -p no:cacheprovider python/tests

# The unit tests cover one Python, and locks of interpreters on all; this is the engine on every version that is there.
matrix: venv
	@scripts/matrix --all

# Those that are on the machine.
pythons: venv
	@scripts/matrix

integration: venv
	@PYTHON=$(PYTHON) scripts/install-system-packages --tests
	@echo "==> Integration tests"
	@MOD_WSGI_EXPRESS=$(VENV)/bin/mod_wsgi-express scripts/integration

# The first steps of somebody who has just built it: a part of the integration tests.
newcomer: venv
	@echo "==> The newcomer's first steps"
	@MOD_WSGI_EXPRESS=$(VENV)/bin/mod_wsgi-express cargo test --quiet -p wsgi-tests --test django newcomer

# For every Python from 3.10 on, and every glibc from 2.28 on; and the source distribution that it is made of.
wheel: system rust
	@scripts/wheel $(PYTHON)

sdist: system
	@scripts/wheel --source $(PYTHON)

# Every page is in a list, every reference leads somewhere: a warning is an error.
docs: system
	@[ -x build/docs-venv/bin/sphinx-build ] || $(PYTHON) -m venv build/docs-venv
	@build/docs-venv/bin/python -m pip --quiet --disable-pip-version-check install --requirement docs/requirements.txt
	@build/docs-venv/bin/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -c docs . build/docs
	@echo "==> build/docs/docs/index.html"

# The pictures of the documentation: those that are drawn of text (graphviz), and those that are taken of a server.
diagrams:
	@for picture in docs/images/*.dot; do dot -Tsvg $$picture -o $${picture%.dot}.svg || exit 1; done

captures: venv docs
	@PYTHON=$(PYTHON) scripts/install-system-packages --browser
	@build/docs-venv/bin/python -m pip --quiet --disable-pip-version-check install rich
	@build/docs-venv/bin/python scripts/captures $(VENV)/bin/mod_wsgi-express

dist: system rust
	@scripts/dist $(PYTHON)

deb: wheel
	@scripts/deb "$$(ls -t dist/*.whl | head -n 1)"

container:
	@scripts/container dist/*.whl

kubernetes:
	@scripts/kubernetes $(PYTHON)

# Root only; hours. `scripts/systems --help` says how to try some of it.
systems:
	@scripts/systems

# Some minutes: the standard library is compiled for Windows first.
windows:
	@scripts/windows

bench: venv
	@MOD_WSGI_EXPRESS=$(VENV)/bin/mod_wsgi-express benches/compare --json build/compare.json --plot build/compare.svg

instructions: venv
	@PYTHON=$(PYTHON) scripts/install-system-packages --valgrind
	@if command -v valgrind >/dev/null; then \
		echo "==> Instructions" && PYTHON=$(PYTHON) scripts/instructions; \
	else \
		echo "==> Instructions are not counted: there is no valgrind"; \
	fi

sanitize: venv
	@PYTHON=$(PYTHON) scripts/install-system-packages --valgrind
	@if command -v valgrind >/dev/null; then \
		echo "==> Memory" && . scripts/environment && scripts/sanitize; \
	else \
		echo "==> Memory is not checked: there is no valgrind"; \
	fi

autobahn: venv
	@echo "==> Autobahn's cases for WebSockets"
	@scripts/autobahn

gunicorn-suites: venv
	@echo "==> gunicorn's suites about ASGI"
	@PYTHON=$(PYTHON) scripts/gunicorn-suites

fuzz: venv
	@scripts/fuzz $(TARGETS)

deny: rust
	@echo "==> Licences, sources, versions and advisories of what is built in"
	@scripts/deny $(PYTHON)

# Names of the tests begin with `loom_`; all else is compiled without its tests. RUSTFLAGS takes the place of those in
# .cargo/config.toml.
loom: venv
	@echo "==> Each order of events"
	@RUSTFLAGS="--cfg loom --cfg pyo3_disable_reference_pool --cfg pyo3_leak_on_drop_without_reference_pool" \
		CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/loom \
		cargo test --quiet --lib -p wsgi-wire -p wsgi-unix -p wsgi-engine -- loom_

# A build of its own: nothing that is installed has a way to bring a panic about.
panics: venv
	@echo "==> Panics"
	@CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/panics cargo build --quiet -p mod_wsgi -p wsgi-engine --features mod_wsgi/panics,wsgi-engine/panics
	@PANICS=$(CARGO_TARGET_DIR)/panics/debug MOD_WSGI_EXPRESS=$(VENV)/bin/mod_wsgi-express cargo test --quiet -p wsgi-tests --test panics

# The oldest Rust that Cargo.toml promises compiles all of it; rustup fetches it.
msrv: venv
	@version=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -1); \
	if rustup --quiet toolchain install $$version --profile minimal --no-self-update >/dev/null 2>&1; then \
		echo "==> Rust $$version"; \
		CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/msrv cargo +$$version check --quiet --workspace --all-targets; \
	else \
		echo "==> Rust $$version is not tried: there is no rustup that could fetch it"; \
	fi

venv: system rust $(VENV)/installed

system:
	@PYTHON=$(PYTHON) scripts/install-system-packages

rust:
	@command -v cargo >/dev/null || { echo "Rust is missing: install it as https://rustup.rs says, then try again."; exit 1; }

# Pyramid needs pkg_resources, which later versions of setuptools do not have.
$(VENV)/created: Makefile | system
	@echo "==> Creating $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed: name one with make PYTHON=...")'
	@$(PUBLIC) $(PYTHON) -m venv $(VENV)
	@$(PUBLIC) $(PIP) install 'setuptools>=77,<81' 'setuptools-rust>=1.11' 'django~=5.2' 'flask~=3.0' pytest \
		'pyramid~=2.0' 'falcon~=4.0' 'bottle~=0.13' 'wsgidav~=4.3' 'django-sendfile2~=0.7' coverage \
		'whitenoise~=6.9' 'a2wsgi~=1.10' fastapi wagtail 'Trac~=1.6' \
		'channels~=4.2' 'quart~=0.20' 'litestar~=2.12' 'python-socketio~=5.11' 'sse-starlette~=3.0' 'datasette~=0.65' \
		python-multipart $(LIBCLANG)
	@[ -z "$(LIBCLANG)" ] || ln -sfn "$$($(VENV)/bin/python -c 'import clang.native; print(*clang.native.__path__)')" $(VENV)/libclang
	@touch $@

$(VENV)/installed: $(SOURCES) $(VENV)/created | system rust
	@echo "==> Building and installing (some minutes at first)"
	@rm -rf build/lib* build/bdist*
	@$(PUBLIC) $(PIP) install --no-build-isolation --no-deps --force-reinstall . || { \
		echo "==> Not built: the first \"error\" of cargo above says why. Mend that and give the same command again;" \
			"docs/troubleshooting.md has the usual causes."; exit 1; }
	@touch $@

clean:
	cargo clean
	rm -rf build $(VENV) python/*.egg-info examples/mysite/data
