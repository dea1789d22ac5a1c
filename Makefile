# Everything runs in a virtual environment of its own, made by the first target that needs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Many tests wait for something, so that more of them than there are cores share a machine well.
SIDE_BY_SIDE := -n 3 --dist worksteal

.PHONY: demo serve test test-all lint types bench docs clean

demo: $(READY)  ## a server, a real client, every event, one verdict
	$(BIN)/responses-stream demo

serve: $(READY)  ## the tutor of docs/examples on http://127.0.0.1:8088/v1
	$(BIN)/responses-stream serve docs/examples/tutor.py

test: $(READY)  ## the whole suite
	$(BIN)/python -m pytest -m "not slow" $(SIDE_BY_SIDE)

test-all: $(READY)  ## the whole suite and its slow rest
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)  ## speed, as ratios in one run
	$(BIN)/python -m tests.benchmarks

docs: $(READY)  ## runs every example of the docs
	$(BIN)/python -m pytest docs README.md

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	# As pip does with all else that it installs: the first import should not parse.
	$(BIN)/python -m compileall -q responses_stream transports
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
