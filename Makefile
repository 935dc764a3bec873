# Everything from a fresh checkout: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test check bench catalogs docs lock system peers clean

install: $(STAMP)

# Exact versions with hashes first, then this package without touching them.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 12) else "Python 3.12 or newer is needed: make PYTHON=python3.13 " + "$(MAKECMDGOALS)")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: install
	$(BIN)/ces demo --output demo-output

# Debian packages that some tests need; where they cannot be installed, those tests say so and skip.
system:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v chromium >/dev/null; then \
		apt-get -qq -o DPkg::Lock::Timeout=900 update \
		&& DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=900 install --no-install-recommends chromium >/dev/null \
		|| echo "chromium could not be installed: browser tests will skip"; \
	fi

# Programs that only tests use, and that need other versions of what this package needs.
peers: install
	@test -x $(VENV)/fdsn/bin/portable-fdsnws-dataselect || { $(PYTHON) -m venv $(VENV)/fdsn \
		&& $(VENV)/fdsn/bin/python -m pip install --quiet --disable-pip-version-check \
			'portable-fdsnws-dataselect>=2.0' 'mseedindex>=3.0' \
		|| echo "no FDSN server of others could be installed: its tests will skip"; }

test: install system peers check
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Side by side with the peers, then the asv suite on the checked-out commit.
bench: install
	$(BIN)/python -m benchmarks.rapid_assessment
	$(BIN)/asv machine --yes >/dev/null
	$(BIN)/asv run --python=same --quick --dry-run

# The catalogue of the sample data, and the store it points to.
catalogs: install
	$(BIN)/python catalogs/build.py

docs: install
	$(BIN)/sphinx-build -q -W -b html docs docs/_build

# Newest versions that fit pyproject.toml, for every platform and Python it admits.
lock:
	$(PYTHON) -m pip install --quiet uv
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --upgrade \
		--no-emit-index-url --no-header --no-annotate --group test --group check --group bench \
		--group docs --extra s3 --extra serve --extra webdav pyproject.toml -o constraints.txt

clean:
	rm -rf $(VENV) demo-output docs/_build .pytest_cache .mypy_cache .ruff_cache
