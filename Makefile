# Two commands: `make run` and `make test`. `make help` tells the rest.

SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python

# Which build of the pinned torch: extra arguments for the pip call that installs it,
# e.g. TORCH_PIP_ARGS="--index-url ADDRESS" with the address that the PyTorch site gives for your CUDA version.
TORCH_PIP_ARGS ?=

# What `check --deploy` is shown: a server behind TLS. These keys are for that one command.
DEPLOYED := EVALSITE_PRODUCTION=1 EVALSITE_URL=https://study.example.org \
	EVALSITE_SECRET_KEY=$$($(PY) -c "import secrets; print(secrets.token_urlsafe(48))") \
	EVALSITE_LOOKUP_KEY=$$($(PY) -c "import secrets; print(secrets.token_urlsafe(48))") \
	EVALSITE_FIELD_KEYS=$$($(PY) -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())")

.DEFAULT_GOAL := help
.PHONY: help run test lint browser install install-dev

help: ## this list
	@echo "PORT=8000 EVALSITE_DATA=var EVALSITE_URL=http://ADDRESS:8000 may stand before any of these:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: install ## install what is missing, then serve the example studies; Ctrl-C ends it
	@exec $(PY) manage.py quickstart

test: lint ## install what is missing, then all checks and tests that need no browser and no model
	$(PY) -m pytest --numprocesses auto --maxprocesses 4

lint: install-dev ## style, types, directions of import, migrations, settings of a deployed server
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy .
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	@echo "$(PY) manage.py check --deploy, with the settings of a server behind TLS"
	@$(DEPLOYED) $(PY) manage.py check --deploy --fail-level WARNING

browser: install-dev ## the browser suite (needs Chromium)
	$(PY) -m pytest -m browser

install: $(VENV)/installed

install-dev: $(VENV)/installed-dev

$(VENV)/installed: constraints.txt pyproject.toml install.sh
	@./install.sh $(VENV) . $(TORCH_PIP_ARGS)
	@touch $@

$(VENV)/installed-dev: constraints.txt pyproject.toml install.sh
	@./install.sh $(VENV) ".[dev]" $(TORCH_PIP_ARGS)
	@touch $(VENV)/installed $@
