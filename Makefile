# Every target works on a fresh clone with nothing but Python 3.11-3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# One thread: a second one on a busy core makes small models many times slower. Nothing calls home.
export OMP_NUM_THREADS = 1
export HF_HUB_OFFLINE = 1
export HF_HUB_DISABLE_TELEMETRY = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: demo test lint bench paper-smoke clean

demo: $(STAMP)
	$(BIN)/tacit demo

test: $(STAMP)
	$(BIN)/python -m pytest -q -n 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports

bench: $(STAMP)
	set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file; done

# Every experiment of the paper, at a size that proves its config and measures nothing.
PAPER = $(filter-out base on-cpu smoke,$(notdir $(basename $(wildcard configs/paper/*.yaml))))
paper-smoke: $(STAMP)
	set -e; for name in $(PAPER); do echo "== $$name"; \
	  $(BIN)/tacit run configs/paper/$$name.yaml configs/paper/smoke.yaml out=runs/smoke/$$name; done

# torch is asked for exactly and first, so that the CPU build is taken where it is at hand.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[offline,viz,dev]' -c constraints.txt
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info
