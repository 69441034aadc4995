# dynbench: `make run` and `make test` set up what they need.
PYTHON  ?= python3
# The build that the committed results were measured with. For a GPU, name another one:
#   make setup TORCH="torch --index-url https://download.pytorch.org/whl/cu126"
TORCH   ?= torch==2.13.0
BUDGET  ?= quick
JOBS    ?= 1

VENV := .venv
BIN  := $(VENV)/bin

.PHONY: help setup run test test-all lint tables figures report docs bench data clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/ready  ## make the environment in .venv

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dynbench needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

run: setup  ## NLSM on a generated network: no download, seconds
	$(BIN)/python run.py model.epochs=60

test: setup  ## all tests, each model under one protocol of a kind
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-all: setup  ## and what takes long: every model under every protocol that can ask it, …
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m ''

lint: setup  ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

tables: setup  ## the papers' tables; BUDGET=smoke|quick|paper, JOBS=processes, or LAUNCHER=submitit_slurm
	$(BIN)/python scripts/make_tables.py --budget $(BUDGET) --jobs $(JOBS) $(if $(LAUNCHER),--launcher $(LAUNCHER))

figures: setup  ## the papers' figures; BUDGET=smoke|quick|paper
	$(BIN)/python scripts/make_figures.py --budget $(BUDGET)

report: setup  ## one page about all that is measured: runs/report/index.html
	$(BIN)/python -m dynbench report

docs: setup  ## the documentation as a site: runs/site/index.html
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/python scripts/build_docs.py

bench: setup  ## speed of fit steps and of the Trainer, beside plain references
	$(BIN)/python scripts/bench.py
	$(BIN)/python scripts/bench_ranking.py
	$(BIN)/python scripts/bench_spectral.py
	$(BIN)/python scripts/bench_features.py
	$(BIN)/python scripts/bench_stream.py
	$(BIN)/python scripts/bench_snapshots.py
	$(BIN)/python scripts/bench_crosslink.py
	$(BIN)/python scripts/bench_crosslink.py --sizes paper --steps 2 --pairs 480

data: setup  ## download and check all datasets that can be had
	$(BIN)/python scripts/download_data.py

clean:  ## remove logs and checkpoints; records and tables stay
	@for path in runs/*; do case $$path in runs/records) ;; *) rm -rf "$$path" ;; esac; done
