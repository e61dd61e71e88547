# Commands for developers. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
LOCAL ?= .local/postgresql
SITE ?= .local/site
# Ansible and Molecule find their helper programs in PATH.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# Ansible does not start with a locale that is not UTF-8 (LC_ALL=C) or that is not installed.
ifneq (UTF-8,$(shell locale charmap 2>&1))
export LC_ALL := $(if $(filter Darwin,$(shell uname)),en_US.UTF-8,C.UTF-8)
endif

# Without bytecode, every Ansible run would compile its imports again.
unexport PYTHONDONTWRITEBYTECODE

ANSIBLE_FLAGS ?=
PSQL_FLAGS ?=
PYTEST_FLAGS ?=
# Number of cases and seed of `make fuzz`.
RELEASES ?= 2000
BACKUPS ?= 500
SEED ?= 1
# Number of parallel tests.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores > 2 ? cores : 2)))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --no-compile: the package ansible has many thousand files, and a run imports only some hundred.
PIP_INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes

# The name of the stamp file contains the checksum of the requirements, so changed requirements are installed again.
$(VENV)/.run-%: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This project needs Python 3.11 or newer; name one with make PYTHON=...")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned Python packages into $(VENV)/ (once) ..."
	@$(PIP_INSTALL) -r requirements.txt
	@rm -f $(VENV)/.run-*; touch $@

$(VENV)/.dev-%: requirements-dev.txt
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned tools for tests and lint into $(VENV)/ (once) ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@rm -f $(VENV)/.dev-*; touch $@

checksum = $(firstword $(shell cksum < $(1) | tr -d ' '))
RUN := $(VENV)/.run-$(call checksum,requirements.txt)
DEV := $(VENV)/.dev-$(call checksum,requirements-dev.txt)

.PHONY: deploy
deploy: $(RUN) ## Deploy a verified database on this machine; a second run changes nothing
	@ansible-playbook deploy.yml $(ANSIBLE_FLAGS)

.PHONY: migrate
migrate: $(RUN) ## Apply pending migrations to the local database and verify
	@ansible-playbook playbooks/migrate.yml $(ANSIBLE_FLAGS)

.PHONY: verify
verify: $(RUN) ## Verify the local database against its release; show every check
	@ansible-playbook playbooks/verify.yml $(ANSIBLE_FLAGS)

.PHONY: seed
seed: $(RUN) ## Insert 200 invented patients into the local database
	@ansible-playbook playbooks/seed.yml $(ANSIBLE_FLAGS)

.PHONY: status
status: $(RUN) ## Show the state of the local database and its current sessions
	@ansible-playbook playbooks/status.yml $(ANSIBLE_FLAGS)

.PHONY: report
report: $(RUN) ## Write an HTML report of the local database
	@ansible-playbook playbooks/report.yml $(ANSIBLE_FLAGS)

.PHONY: demo
demo: $(RUN) ## Run a demo with invented patients: deploy, seed, backup, drill, status, report
	@ansible-playbook deploy.yml playbooks/{seed,backup,drill,status,report}.yml $(ANSIBLE_FLAGS)

.PHONY: backup
backup: $(RUN) ## Take a verified backup of the local database
	@ansible-playbook playbooks/backup.yml $(ANSIBLE_FLAGS)

.PHONY: psql
psql: export LOCAL := $(LOCAL)
psql: ## Open psql on the local database; also reads SQL from standard input
	@test -e "$$LOCAL/pg_service.conf" || { echo "There is no local database yet. Next: make deploy" >&2; exit 1; }
	@PGSERVICEFILE="$$LOCAL/pg_service.conf" "$$LOCAL/bin/psql" $(PSQL_FLAGS) service=physioflow

.PHONY: destroy
destroy: $(RUN) ## Remove the local server and its data; asks first (FORCE=1: does not ask)
	@ansible-playbook playbooks/destroy.yml $(if $(FORCE),-e destroy_confirmed=true) $(ANSIBLE_FLAGS)

.PHONY: test
test: $(DEV) lint ## Run the linters, the unit and integration tests and the Molecule scenario default
	@pytest -m "not hosts" --numprocesses $(WORKERS) --dist worksteal $(PYTEST_FLAGS)

.PHONY: test-hosts
test-hosts: $(DEV) ## Run the other Molecule scenarios and the tests of host faults and reboots
	@pytest -m hosts --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder $(PYTEST_FLAGS)

.PHONY: lint
lint: $(DEV) ## Run every linter
	@tests/lint

.PHONY: docs
# Without --quiet, which keeps the warnings from --strict.
docs: $(DEV) ## Build the pages as a site that needs no network, in .local/site
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --config-file mkdocs.yml --site-dir "$(SITE)"

.PHONY: promises
promises: $(DEV) ## Write the promises of each migration to files/verify, for review
	@test -e $(LOCAL)/pg_service.conf || { echo "There is no local server yet. Next: make deploy" >&2; exit 1; }
	@$(VENV)/bin/python -m tests.promises

.PHONY: bench
bench: $(DEV) ## Benchmark deploys against psql and dbmate, backups against the guide's commands, queries on much data, upgrades in use
	@$(VENV)/bin/python tests/bench/bench.py
	@$(VENV)/bin/python tests/bench/backups.py
	@$(VENV)/bin/python tests/bench/queries.py
	@$(VENV)/bin/python tests/bench/upgrade.py

.PHONY: fuzz
fuzz: $(DEV) ## Test deploys against psql, and restores, with generated data (RELEASES, BACKUPS, SEED)
	@$(VENV)/bin/python -m tests.fuzz --releases $(RELEASES) --backups $(BACKUPS) --seed $(SEED)

.PHONY: lock
lock: $(DEV) ## Update the pinned Python requirements from pyproject.toml
	@uv pip compile pyproject.toml --universal --generate-hashes --no-header --quiet --upgrade -o requirements.txt
	@uv pip compile pyproject.toml --extra dev -c requirements.txt --universal --generate-hashes --no-header --quiet --upgrade -o requirements-dev.txt
