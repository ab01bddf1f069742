# Everything here works in a fresh clone with Python 3.11 or newer and make, and again.
#   make demo PYTHON=python3.12        another Python (the environment is made anew)
#   make test PYTEST_ARGS="-k vad"     some of the tests
#   make demo CONSTRAINTS=             newest versions instead of the tested ones

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PYTEST_ARGS ?=
HOURS ?= 1
CASES ?= 100000

BIN := $(VENV)/bin
RECORDING := rt_ser/data/demo.flac
# setuptools warns at every editable install that the folder is like the package: it is meant.
PIP_INSTALL = PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check \
	$(if $(CONSTRAINTS),-c $(CONSTRAINTS))
SOURCES := rt_ser train models tests docs benchmarks .ci $(wildcard examples)
METADATA := setup.cfg pyproject.toml $(wildcard constraints.txt)
PYTEST = $(BIN)/python -m pytest $(PYTEST_ARGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-train check bench soak fuzz screenshot docs recording clean always

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.core ## install into .venv and watch the bundled recording being judged
	@$(BIN)/rt-ser replay $(RECORDING)

test: $(VENV)/.test ## install what the tests need and run them
	$(PYTEST)

test-train: $(VENV)/.train ## the same with PyTorch and TensorFlow, so that the training tests run too
	$(PYTEST)

check: $(VENV)/.dev ## ruff, mypy --strict, and who may import whom
	$(BIN)/ruff check --config .ci/ruff.toml $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: $(VENV)/.test ## measure on this machine; writes benchmarks/results.md
	$(BIN)/python -m benchmarks.run
	$(BIN)/python benchmarks/turn_latency.py

soak: $(VENV)/.test ## listen to a virtual microphone for HOURS=1, faults at random
	PYTHONPATH=. $(BIN)/python tests/soak_microphone.py --hours $(HOURS)

fuzz: $(VENV)/.test ## damaged files, settings and manifests: CASES=100000
	PYTHONPATH=. $(BIN)/python -W error tests/fuzz.py --cases $(CASES)

screenshot: $(VENV)/.core ## draw docs/screenshot.svg with the real program
	$(BIN)/python docs/make_screenshot.py

docs: $(VENV)/.core ## write docs/cli.md and docs/events.md from the program itself
	$(BIN)/python docs/make_cli_reference.py
	$(BIN)/python docs/make_event_reference.py

recording: $(VENV)/.core ## make the bundled recording anew (needs espeak-ng)
	$(BIN)/python docs/make_demo_recording.py

clean: ## remove what make has made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# Run every time, but it leaves the stamp alone unless the Python is another one.
$(VENV)/.python: always
	@command -v $(PYTHON) >/dev/null || { echo "rt-ser: no $(PYTHON) here:" \
		"sudo apt-get install python3, or make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) .ci/make_venv.py $(VENV)

$(VENV)/.core: $(VENV)/.python $(METADATA)
	@echo "rt-ser: installing into $(VENV) (about a minute the first time)"
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.core
	@$(PIP_INSTALL) -e '.[test]'
	@touch $@

$(VENV)/.train: $(VENV)/.test
	@echo "rt-ser: installing PyTorch and TensorFlow into $(VENV) (some minutes the first time)"
	@$(PIP_INSTALL) -e '.[test,train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	@$(PIP_INSTALL) -e '.[test,dev]'
	@touch $@
