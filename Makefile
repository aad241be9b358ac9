# Every target sets up what it needs: `make demo` and `make test` work on a fresh clone. Written for GNU make 3.81 (macOS) and later.

BIN := .venv/bin
# The first interpreter that is new enough and can make a virtual environment. Asked lazily: only set-up needs it.
PYTHON = $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { command -v "$$name"; break; }; done)
# A stamp is named after the content of pyproject.toml, so that a changed dependency, not a touched file, installs again.
HASH := $(shell cksum < pyproject.toml | tr -d ' ')
DEV := .venv/.ready-dev-$(HASH)
NODE := .venv/.ready-node-$(HASH)

# Images for containers like to set it; with it each of the hundreds of processes that tests start compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test e2e long simulate chaos check bench proto pocket-model clean

help:
	@echo "make demo          a throw-away two-node cluster on this machine runs the example job"
	@echo "make test          set-up, make check and all tests"
	@echo "make e2e           all four workflows on the examples, whole jobs, under ten minutes on two cores"
	@echo "make long          groups, lost homes, weights and servers on real daemons: what takes too long for make test"
	@echo "make simulate      2,000 small clusters of whole daemons in virtual time, in trouble; some two minutes (SEEDS=N)"
	@echo "make chaos         real daemons, and groups, killed, frozen, cut off and starved; about 45 minutes, best on an idle machine"
	@echo "make check         linters, types, import rules, generated code"
	@echo "make bench         benchmarks, one line of JSON each"
	@echo "make proto         generate the protobuf code again after editing a .proto file"
	@echo "make pocket-model  train the pocket model again"
	@echo "make clean         remove everything that set-up and the tools have made"

demo: $(NODE)
	@$(BIN)/realignctl demo

test: $(DEV) check
	$(BIN)/pytest -n auto --maxprocesses 4 tests/unit tests/sim tests/fuzz
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/e2e tests/contract  # the longest first

e2e: $(DEV)
	$(BIN)/pytest -m long -n 2 tests/e2e/test_workflows.py

long: $(DEV)
	$(BIN)/pytest -m long -n 2 --dist loadfile tests/contract tests/e2e --ignore tests/e2e/test_workflows.py

SEEDS := 2000

simulate: $(DEV)
	$(BIN)/python -m tests.sim --seeds $(SEEDS)

chaos: $(DEV)
	$(BIN)/python -m tests.chaos

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --threads 2 --project pyproject.toml  # not a configuration of a folder above
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check

bench: $(DEV)
	$(BIN)/python bench/work_overhead.py
	$(BIN)/python bench/status_cold_start.py
	$(BIN)/python bench/failover.py

proto: $(DEV)
	$(BIN)/python proto/generate.py

pocket-model: $(DEV)
	$(BIN)/python -m realign_daemon.engine.pocket.train --output daemon/realign_daemon/engine/pocket/model

clean:
	rm -rf .venv build dist demo-output .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv and pip found; install python3.11 (on Debian and Ubuntu python3-venv as well)" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

$(DEV): | $(BIN)/python
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -e '.[node,dev]'
	@rm -f .venv/.ready-*
	@touch $@ $(NODE)

$(NODE): | $(BIN)/python
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -e '.[node]'
	@touch $@
