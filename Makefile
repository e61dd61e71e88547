# What a developer types. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
LOCAL ?= .local/postgresql
# Ansible and Molecule look for their helpers on PATH.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

ANSIBLE_FLAGS ?=
PSQL_FLAGS ?=
PYTEST_FLAGS ?=
# How many tests run at the same time.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores > 2 ? cores : 2)))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp carries the requirements' checksum in its name, so that a changed file is installed again.
$(VENV)/.run-%: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This project needs Python 3.11 or newer; name one with make PYTHON=...")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned Python packages into $(VENV)/ (once) ..."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@rm -f $(VENV)/.run-*; touch $@

$(VENV)/.dev-%: requirements-dev.txt
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned tools for tests and lint into $(VENV)/ (once) ..."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@rm -f $(VENV)/.dev-*; touch $@

checksum = $(firstword $(shell cksum < $(1) | tr -d ' '))
RUN := $(VENV)/.run-$(call checksum,requirements.txt)
DEV := $(VENV)/.dev-$(call checksum,requirements-dev.txt)

.PHONY: deploy
deploy: $(RUN) ## From nothing to a verified database on this machine; again: changes nothing
	@ansible-playbook deploy.yml $(ANSIBLE_FLAGS)

.PHONY: migrate
migrate: $(RUN) ## Apply pending migrations to the local database and verify
	@ansible-playbook playbooks/migrate.yml $(ANSIBLE_FLAGS)

.PHONY: verify
verify: $(RUN) ## Verify the local database against its release, with the whole table
	@ansible-playbook playbooks/verify.yml $(ANSIBLE_FLAGS)

.PHONY: seed
seed: $(RUN) ## Put 200 invented patients into the local database
	@ansible-playbook playbooks/seed.yml $(ANSIBLE_FLAGS)

.PHONY: status
status: $(RUN) ## What stands in the local database and what runs on it right now
	@ansible-playbook playbooks/status.yml $(ANSIBLE_FLAGS)

.PHONY: report
report: $(RUN) ## Write the report of the local database: a page for the browser
	@ansible-playbook playbooks/report.yml $(ANSIBLE_FLAGS)

.PHONY: demo
demo: $(RUN) ## Show all of it with invented patients: deploy, seed, backup, drill, status, report
	@ansible-playbook deploy.yml playbooks/{seed,backup,drill,status,report}.yml $(ANSIBLE_FLAGS)

.PHONY: backup
backup: $(RUN) ## Take a verified backup of the local database
	@ansible-playbook playbooks/backup.yml $(ANSIBLE_FLAGS)

.PHONY: psql
psql: ## Open psql on the local database; reads standard input when that is no terminal
	@test -e $(LOCAL)/pg_service.conf || { echo "There is no local database yet. Next: make deploy" >&2; exit 1; }
	@PGSERVICEFILE=$(LOCAL)/pg_service.conf $(LOCAL)/bin/psql $(PSQL_FLAGS) service=physioflow

.PHONY: destroy
destroy: $(RUN) ## Remove the local server and its data, after asking (FORCE=1: without)
	@ansible-playbook playbooks/destroy.yml $(if $(FORCE),-e destroy_confirmed=true) $(ANSIBLE_FLAGS)

.PHONY: test
test: $(DEV) lint ## Set up and run every test
	@pytest --numprocesses $(WORKERS) --dist worksteal $(PYTEST_FLAGS)

.PHONY: lint
lint: $(DEV) ## Run every linter
	@tests/lint

.PHONY: bench
bench: $(DEV) ## Measure the deploy against psql and dbmate, backups against the guide's commands, queries on much data
	@$(VENV)/bin/python tests/bench/bench.py
	@$(VENV)/bin/python tests/bench/backups.py
	@$(VENV)/bin/python tests/bench/queries.py

.PHONY: lock
lock: $(DEV) ## Pin the Python requirements anew from pyproject.toml
	@uv pip compile pyproject.toml --universal --generate-hashes --no-header --quiet --upgrade -o requirements.txt
	@uv pip compile pyproject.toml --extra dev -c requirements.txt --universal --generate-hashes --no-header --quiet --upgrade -o requirements-dev.txt
