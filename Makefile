# demo, test, lint and bench each work on a fresh clone and install what they lack.

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
RUN := $(VENV)/bin

export PYTHON

.PHONY: help demo test lint simulate chaos fuzz bench bench-full bench-smoke bench-memory format clean

help:
	@echo "make demo          see it send 20,000 messages between private servers"
	@echo "make test          all tests; under ten minutes"
	@echo "make lint          style, types and layers"
	@echo "make simulate      100,000 schedules of faults against the delivery protocol"
	@echo "make chaos         ten minutes of faults against three daemons on real servers"
	@echo "make fuzz          hostile relays, values, templates and files; three minutes"
	@echo "make bench         throughput beside smtp-source and aiosmtplib; under three minutes"
	@echo "make bench-full    every scenario, tables and charts; 35 minutes, goes on where it was"
	@echo "make bench-memory  memory over a million recipients; some minutes"
	@echo "make bench-smoke   that the benchmarks work"
	@echo "make format        put the code in order"
	@echo "make clean         remove what these made"

demo: $(VENV)/.installed
	@.ci/requirements servers
	@$(RUN)/campaignd demo

test: $(VENV)/.installed-dev
	@.ci/requirements servers postfix sasl systemd browser dkim
	$(RUN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

simulate: $(VENV)/.installed-dev
	@$(RUN)/python -m tests.simulation $(SIMULATE_ARGS)

chaos: $(VENV)/.installed-dev
	@.ci/requirements servers
	@$(RUN)/python -m tests.faults.chaos --minutes 10 $(CHAOS_ARGS)

# Without atheris, which not every platform has, inputs are made by chance.
fuzz: $(VENV)/.installed-dev
	@$(RUN)/python -c 'import atheris' 2>/dev/null || \
	    $(RUN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]' || true
	@$(RUN)/python -m tests.fuzz run $(FUZZ_ARGS)

bench: $(VENV)/.installed
	@.ci/requirements servers postfix
	@$(RUN)/python -m benchmarks throughput $(BENCH_ARGS)

bench-full: $(VENV)/.installed-bench
	@.ci/requirements servers postfix
	@$(RUN)/python -m benchmarks full $(BENCH_ARGS); status=$$?; \
	    $(RUN)/python -m benchmarks charts --to docs/charts && \
	    $(RUN)/python -m benchmarks render --into docs/performance.md && \
	    $(RUN)/python -m benchmarks render && exit $$status

bench-memory: $(VENV)/.installed
	@.ci/requirements servers postfix
	@$(RUN)/python -m benchmarks memory $(BENCH_ARGS)

bench-smoke: $(VENV)/.installed
	@.ci/requirements servers postfix
	@$(RUN)/python -m benchmarks smoke

format: $(VENV)/.installed-dev
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .*_cache .hypothesis .fuzz benchmarks/results

# The virtual environment is made anew when it does not run, and brought up to date whenever
# the metadata changes.
$(VENV)/.installed: setup.cfg pyproject.toml
	@$(RUN)/python -c 'import pip' 2>/dev/null || { .ci/requirements python && \
	    echo "Making $(VENV) with $(PYTHON)" && rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@
