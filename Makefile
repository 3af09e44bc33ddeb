# Each target installs what it needs, so `make demo` works in a fresh clone.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
BENCH := .bench/venv
# The first Python on the PATH that is new enough; PYTHON=/path/to/python chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet $(UPGRADE) --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-header
# The environment variables of a production setup, for `manage.py check`; it connects to no server.
PRODUCTION = SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
	DATABASE_URL=postgres://localhost/none REDIS_URL=redis://localhost:6379/0 \
	ALLOWED_HOSTS=commonplace.example

.PHONY: help demo up test faults check audit bench image pin lock clean

help:
	@echo "make demo    run the demo on a stack of its own, and show the results"
	@echo "make up      run the whole stack until Ctrl-C (PORT, FLOWER_PORT, EXPORTER_PORT)"
	@echo "             meanwhile: $(BIN)/python -m stack status | scale feed-worker=3 | restart …"
	@echo "make test    run all tests (ARGS='-k name' to choose)"
	@echo "make faults  break each server and process, and show that nothing is lost (FAULTS_SEED)"
	@echo "make check   check format, lint, types, import contracts, migrations and deployment"
	@echo "make audit   check the pinned dependencies for known vulnerabilities (queries PyPI)"
	@echo "make bench   benchmark Commonplace against similar systems (ARGS=--short: 5 minutes)"
	@echo "make image   build the container image without an engine, and run it (root, buildah)"
	@echo "make pin     pin container images to their current digests (queries the registries)"
	@echo "make lock    rewrite requirements/*.txt (UPGRADE=--upgrade for newer versions)"
	@echo "make clean   remove everything that the other targets created, except the data in .data"

demo: $(VENV)/local.stamp
	@$(BIN)/python -m stack demo

up: $(VENV)/checked $(VENV)/local.stamp
	@$(BIN)/python -m stack up

test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

faults: $(VENV)/dev.stamp
	@FAULTS=full $(BIN)/python -m pytest tests/faults --timeout 1800 $(ARGS)

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

# --strict: a package that can't be checked counts as a failure.
audit: $(VENV)/dev.stamp
	@for file in runtime local dev bench; do echo "requirements/$$file.txt"; \
		$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		--requirement requirements/$$file.txt || exit 1; done

bench: $(BENCH)/bench.stamp
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

image: $(VENV)/dev.stamp
	@deploy/image.sh
	@$(BIN)/python -m pytest -q tests/deploy/image_runs.py

pin:
	@deploy/pin.sh

lock: $(VENV)/dev.stamp
	@$(LOCK) --output-file requirements/runtime.txt
	@$(LOCK) --extra embedded --output-file requirements/local.txt
	@$(LOCK) --extra embedded --extra dev --output-file requirements/dev.txt
	@$(LOCK) --extra embedded --extra bench --constraint requirements/local.txt \
		--output-file requirements/bench.txt

clean:
	@rm -rf $(VENV) .bench .servers .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.data/*' -prune -exec rm -rf {} +

# A stamp file marks a finished installation, so that it runs only once. pip is upgraded first,
# because old versions crash on some of the packages.
define INSTALL
@echo "Installing requirements/$*.txt (once) …"
@$(@D)/bin/python -m pip install -qq --upgrade pip
@$(@D)/bin/python -m pip install -qq --require-hashes --requirement requirements/$*.txt
@touch $@
endef

# Check the ports before the first installation, which takes minutes.
.PHONY: $(VENV)/checked
$(VENV)/checked:
	@test -z "$(PYTHON)" -o -e $(VENV)/local.stamp || $(PYTHON) stack/ports.py

$(VENV)/%.stamp: requirements/%.txt | $(BIN)/python
	$(INSTALL)

$(BENCH)/%.stamp: requirements/%.txt | $(BENCH)/bin/python
	$(INSTALL)

$(BIN)/python $(BENCH)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed:" \
		"install it, or choose one by make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -m venv $(@:/bin/python=) || { rm -rf $(@:/bin/python=); \
		echo "$(PYTHON) cannot create environments: install its venv package" \
		"(Debian and Ubuntu: python3-venv), or choose another by make PYTHON=…"; exit 1; }
