# Every target makes what it needs: a virtual environment in .venv with the extras that the target is about.
PYTHON ?= python3
ARGS ?=

.PHONY: train test browser lint types coverage check oracle fuzz bench clean

train: .venv/.stamp-train
	.venv/bin/micrograd-plus train $(ARGS)

test: .venv/.stamp-test
	.venv/bin/python -m pytest -n auto $(ARGS)

# The pages in Chromium, which must be at /usr/bin/chromium.
browser: .venv/.stamp-browser
	.venv/bin/python -m pytest -m browser $(ARGS)

lint: .venv/.stamp-lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/.stamp-lint
	.venv/bin/mypy

# Of the core, by its own tests, without the planted bugs, which `make test` runs: they take long, and cover no more of it.
coverage: .venv/.stamp-test
	.venv/bin/python -m pytest -n auto --ignore-glob='*planted*' $(addprefix --ignore=tests/,compiler explain training data test_cli.py test_examples.py test_pages.py) --cov --cov-report=term

check: lint types coverage

oracle: .venv/.stamp-bench
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto -m oracle $(ARGS)

# Random programs against PyTorch: ARGS="--programs 100000 --seed 7" for others and more.
fuzz: .venv/.stamp-bench
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 .venv/bin/python -m tests.fuzz $(ARGS)

# With ARGS only the comparison: ARGS="--quick" for a small one.
bench: .venv/.stamp-bench
	.venv/bin/python benchmarks/compare.py $(ARGS)
	$(if $(ARGS),,.venv/bin/python benchmarks/growth.py)

clean:
	rm -rf .venv build dist *.egg-info .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.stamp-%: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	touch $@
