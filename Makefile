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

.PHONY: demo serve-demo loop-demo test integration soak lint docs build bench paper-smoke clean \
	rlrf4rec-table1 rlrf4rec-seed0 rlrf4rec-objectives rlrf4rec-controls rlrf4rec-best-of-n \
	rlrf4rec-literal rlrf4rec-no-language-model rlrf4rec-smollm2

demo: $(STAMP)
	$(BIN)/tacit demo

# A page to talk to the demo's policy, and to compare it with the supervised one. Trains nothing where the run is there.
DEMO_RUN ?= runs/demo-seed0
serve-demo: $(STAMP)
	test -f $(DEMO_RUN)/ppo/done.json || $(BIN)/tacit demo
	$(BIN)/tacit serve $(DEMO_RUN) --dev --beside $(DEMO_RUN)/sft/policy

# The whole circle on simulated users, through HTTP (docs/loop.md). Goes on where it was when it is given again.
loop-demo: $(STAMP)
	$(BIN)/tacit loop configs/loop.yaml

# No network, any processor.
test: $(STAMP)
	$(BIN)/python -m pytest -q -n 2

# What needs more than this package: an installation of the wheel. Skipped, saying why, where that cannot be had.
integration: $(STAMP) build
	$(BIN)/python -m pytest -q -rs tests/integration

# Hours: every property of tests/faults with 20,000 inputs drawn anew, then kills, full disks (as root), too little memory,
# two processes, and 20,000 requests to a server. What fails is repeated with the SEED that the commands show: `make soak SEED=7`.
EXAMPLES ?= 20000
KILLS ?= 20
SEED := $(or $(SEED),$(shell date +%s))
soak: $(STAMP)
	POLARS_MAX_THREADS=1 TACIT_FAULT_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -v -rs -n 2 --durations=0 \
	  --hypothesis-show-statistics --hypothesis-seed=$(SEED) tests/faults
	TACIT_SOAK_KILLS=$(KILLS) TACIT_SOAK_SEED=$(SEED) $(BIN)/python -m pytest -v -s -rs \
	  --hypothesis-seed=$(SEED) tests/soak

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports

# The site of docs/ and the docstrings, into site/index.html. A dead link or a missing name is an error.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The source distribution and the wheel, into dist/.
build: $(STAMP)
	rm -rf build dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*

bench: $(STAMP)
	set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file; done

# Every experiment of the paper, at a size that proves its config and measures nothing.
PAPER = $(filter-out base on-cpu smoke,$(notdir $(basename $(wildcard configs/paper/*.yaml))))
paper-smoke: $(STAMP)
	set -e; for name in $(PAPER); do echo "== $$name"; \
	  $(BIN)/tacit run configs/paper/$$name.yaml configs/paper/smoke.yaml out=runs/smoke/$$name; done

# RLRF4Rec's tables on MovieLens-1M: `make rlrf4rec-table1 DATA=FOLDER`. OPTIONS adds settings, such as lists.users=1000.
RLRF4REC = $(BIN)/tacit run configs/rlrf4rec/ml1m.yaml data.path=$(DATA) $(OPTIONS)

# Table I, Table II (base is without knowledge, round 0 without DPO) and Figure 4, over two seeds of the writer.
rlrf4rec-table1: rlrf4rec-seed0
	$(RLRF4REC) seed=1 out=runs/rlrf4rec-seed1
	$(BIN)/tacit rerank pool runs/rlrf4rec-seed0 runs/rlrf4rec-seed1

rlrf4rec-seed0: $(STAMP)
	$(RLRF4REC) seed=0 out=runs/rlrf4rec-seed0

# $(call REALIGN,NAME,SETTINGS): the writer, texts and rerankers of seed 0, aligned for one round in another way, and
# measured by the reranker that gives the reward.
REALIGN = test -d runs/rlrf4rec-$(1) || $(BIN)/tacit rerank fork runs/rlrf4rec-seed0 runs/rlrf4rec-$(1) \
	    align.rounds=1 strong=false rankers=[dlcm_match] controls=[] $(2); \
	  $(BIN)/tacit run runs/rlrf4rec-$(1); \
	  $(BIN)/tacit rerank compare runs/rlrf4rec-seed0 runs/rlrf4rec-$(1)

# Other objectives from the same number of texts.
rlrf4rec-objectives: rlrf4rec-seed0
	set -e; $(call REALIGN,sft_best,align.dpo.objective=sft_best)
	set -e; $(call REALIGN,ppo,align.method=ppo)

# The writer as it is: of six texts about everyone the three that a reward model of the feedback likes best, over two
# writers; and, as controls, three of the same six drawn blindly, the three nearest to the user's place among the
# ratings, and all six. What the choice is worth is printed last.
BEST = align.method=best_of_n align.preference_source=model align.keep=3
CHOSEN = runs/rlrf4rec-chosen
rlrf4rec-best-of-n: rlrf4rec-seed0
	set -e; $(call REALIGN,chosen0,$(BEST))
	$(RLRF4REC) 'rankers=[dlcm_match]' controls=[] strong=false align.rounds=1 $(BEST) seed=1 out=$(CHOSEN)1
	set -e; for seed in 0 1; do \
	for control in blind:align.pairs=random nearest:align.preference_source=nearness six:align.keep=6; do \
	  run=runs/rlrf4rec-$${control%%:*}$$seed; \
	  test -d $$run || $(BIN)/tacit rerank fork $(CHOSEN)$$seed $$run $${control#*:} ranker_seeds=3; \
	  $(BIN)/tacit run $$run; done; done
	$(BIN)/tacit rerank pool $(CHOSEN)0 $(CHOSEN)1
	set -e; for control in blind nearest six; do \
	  $(BIN)/tacit rerank compare runs/rlrf4rec-$${control}0,runs/rlrf4rec-$${control}1 $(CHOSEN)0,$(CHOSEN)1; done

# Pairs that must not help, or must do harm.
rlrf4rec-controls: rlrf4rec-seed0
	set -e; for name in random swapped; do \
	  $(call REALIGN,$$name,align.pairs=$$name); done

# A pretrained writer on MovieLens-100K, asked as it is and tuned on composed texts first, beside the small one on the same
# users; and the best of four of each one's texts. Their rows stand in each run's report.
SMOLLM2 = $(BIN)/tacit run configs/rlrf4rec/smollm2.yaml data.path=$(DATA) $(OPTIONS)
AS_SMALL = knowledge.writer=small knowledge.shown=20 knowledge.max_tokens=160 knowledge.composed=4000 \
  knowledge.temperature=1 knowledge.top_p=.95 writer.batch=16 writer.lora=0 align.dpo.lora=0
rlrf4rec-smollm2: $(STAMP)
	$(SMOLLM2) out=runs/smollm2-asked
	$(SMOLLM2) $(AS_SMALL) out=runs/smollm2-small
	$(SMOLLM2) knowledge.tune=true knowledge.max_tokens=64 out=runs/smollm2-tuned
	set -e; for name in asked small tuned; do run=runs/smollm2-$$name; \
	  test -d $$run-best || $(BIN)/tacit rerank fork $$run $$run-best align.method=best_of_n align.preference_source=model; \
	  $(BIN)/tacit run $$run-best; done

# KAR's own way: chosen on the test lists, history and answer in one vector.
rlrf4rec-literal: $(STAMP)
	$(RLRF4REC) ranker.select=test ranker.criterion=map ranker.batch=64 knowledge.mode=kar_input knowledge.components=0 \
	  'rankers=[dlcm,prm]' align.ranker=dlcm align.rounds=0 strong=false out=runs/rlrf4rec-literal

rlrf4rec-no-language-model: $(STAMP)
	$(BIN)/tacit run configs/rlrf4rec/no-language-model.yaml data.path=$(DATA) $(OPTIONS)

# torch is asked for exactly and first, so that the CPU build is taken where it is at hand.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[offline,viz,dev,docs]' -c constraints.txt
	touch $@

clean:
	rm -rf $(VENV) build dist site src/*.egg-info
