PYTHON ?= python3
BIN := .venv/bin
CONSTRAINTS ?= constraints.txt

ENTRIES ?= daam mask-r-cnn mask2former queryinst random-half whole-image
SCENES ?= 1000

.PHONY: run test test-all mmdet lint format docs bench verify refresh clean

run: .venv/installed  ## score DAAM on both splits of the shipped dataset
	$(BIN)/python -m daam_bench.run --method daam --tau 0.4

test: .venv/installed-dev  ## run the fast tests, in about three minutes
	$(BIN)/python -m pytest -m "not slow"
	@echo "The slow tests were left out: make test-all runs them too, with MMDetection where it can be set up."

test-all: .venv/installed-dev  ## run all tests, with MMDetection where it can be set up
	@.ci/mmdet || echo "MMDetection could not be set up: the tests that need it skip"
	$(BIN)/python -m pytest

mmdet: .venv/installed-dev  ## set up MMDetection for the supervised baselines; may build mmcv for 15 minutes
	.ci/mmdet

lint: .venv/installed-dev  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml

format: .venv/installed-dev  ## fix style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/installed-dev  ## build the documentation in docs-site/, a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/installed-dev  ## print the figures of the README
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/trace_overhead.py
	$(BIN)/python benchmarks/main_job.py
	$(BIN)/python benchmarks/scale.py --images 160
	-$(BIN)/python benchmarks/detectors.py

verify: .venv/installed-dev  ## verify the hosts' own entries on fresh scenes, from a clean commit
	rm -rf runs/fresh
	$(BIN)/python -m tools.emoji scenes --seed "$$($(BIN)/python -c 'import secrets; print(secrets.randbits(48))')" \
		--count $(SCENES) --output runs/fresh
	$(BIN)/daam-bench leaderboard verify $(ENTRIES) --dataset runs/fresh --by "The daam-bench developers"

refresh: .venv/installed-dev  ## run all methods on all datasets, and write all that follows; hours, resumes
	$(BIN)/python -m tools.refresh $(REFRESH)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/installed: pyproject.toml $(wildcard $(CONSTRAINTS)) | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable .
	@touch $@

.venv/installed-dev: pyproject.toml $(wildcard $(CONSTRAINTS)) | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[dev,docs,nlp,emoji,ray,fast]'
	@touch .venv/installed $@
