# Truecount. `make` or `make help` lists what there is.
# Needs Python 3.11 or newer, pip and make; everything else is set up here.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
ERP    ?= fake
SEED   ?= 1
SEEDS  ?= 1..2000

.DEFAULT_GOAL := help
.PHONY: help setup demo play test check static fmt lint types imports fast browser bench soak lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## a virtual environment with exactly the locked packages

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(STAMP) ## the main job in about two minutes, no account, no question (ERP=tryton: a real ERP)
	$(BIN)/truecount demo --erp $(ERP) --folder demo-output

test: $(STAMP) browser ## every test, real systems included (Tryton by pip, Chromium by the package manager)
	$(BIN)/python -m pytest -n 2

static: $(STAMP) lint types imports

check: static ## format, lint, types, import directions, example, fast tests
	env -i PATH="$$PATH" HOME="$$HOME" $(BIN)/python -m tests.example_environment $(BIN)/truecount check --config config.example.yaml
	$(BIN)/python -m pytest -n 2 -m "not real and not whole" -q tests/unit tests/connectors tests/flows/test_main_job.py

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

fmt: $(STAMP) ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

browser: # the mail is rendered in a real browser; uses the machine's package manager if it may
	@command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && \
	    echo "installing chromium with apt-get for the picture of the mail" && \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	  echo "no browser and no way to install one here: the picture test will say that it was skipped"

bench: $(STAMP) ## measure; prints one table with its floors (see docs/performance.md)
	$(BIN)/python -m bench.run

play: $(STAMP) ## 200 mixed orders of two channels into a real Tryton: prints how they tie
	$(BIN)/python -m pytest -q -s --log-level=ERROR -m long tests/tryton/test_the_play.py | grep -Ev "^20[0-9]{2}-"

soak: $(STAMP) ## the longer property runs, days in simulated time, hundreds of kills, 20,000 power losses (SEED=1 SEEDS=1..2000)
	$(BIN)/python -m pytest -n 2 -m "not real and not whole" --hypothesis-profile=soak
	$(BIN)/python -m pytest -n 2 tests/flows/test_last_units.py tests/flows/test_lives_machine.py --hypothesis-profile=soak
	$(BIN)/python -m tests.crash
	$(BIN)/python -m tests.crash --cycles 200 --seed $(SEED)
	$(BIN)/python -m tests.power --images 20000 --seed $(SEED)
	$(BIN)/python -m pytest -n 2 -m long
	$(BIN)/truecount simulate --seeds $(SEEDS)

lock: ## renew requirements.lock from pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host \
	  --extra test --extra dev --extra proof --output-file requirements.lock pyproject.toml

clean: ## remove everything that was set up or made
	rm -rf $(VENV) .cache demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
