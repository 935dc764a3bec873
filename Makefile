# Everything from a fresh checkout: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test check bench catalogs docs lock system peers kubernetes clean

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
DEBIAN := chromium slurmctld slurmd slurm-client munge etcd-server containerd runc \
	containernetworking-plugins iproute2 iptables conntrack openssl buildah debootstrap curl
system:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		tests/kubernetes/local/packages.sh $(DEBIAN) \
		|| echo "Debian packages could not be installed: tests of what they bring will skip"; \
	fi

# Programs that only tests use, and that need other versions of what this package needs.
peers: install
	@test -x $(VENV)/fdsn/bin/portable-fdsnws-dataselect || { $(PYTHON) -m venv $(VENV)/fdsn \
		&& $(VENV)/fdsn/bin/python -m pip install --quiet --disable-pip-version-check \
			'portable-fdsnws-dataselect>=2.0' 'mseedindex>=3.0' \
		|| echo "no FDSN server of others could be installed: its tests will skip"; }
	@test -x $(VENV)/binder/bin/repo2docker || { $(PYTHON) -m venv $(VENV)/binder \
		&& $(VENV)/binder/bin/python -m pip install --quiet --disable-pip-version-check \
			'jupyter-repo2docker>=2026.2' \
		|| echo "repo2docker could not be installed: its test will skip"; }
	@test -d $(VENV)/azurite/node_modules || npm install --silent --no-audit --no-fund \
		--prefix $(VENV)/azurite azurite \
		|| echo "azurite could not be installed: tests of Azure will skip"
	@$(BIN)/python tests/kubernetes/local/helm.py $(VENV)/helm \
		|| echo "helm could not be installed: tests of charts will skip"
	@test -d $(VENV)/hub/node_modules || npm install --silent --no-audit --no-fund \
		--prefix $(VENV)/hub configurable-http-proxy \
		|| echo "configurable-http-proxy could not be installed: tests of the hub will skip"

# Kubernetes and the image for the cluster that tests bring up: minutes, once on a machine.
kubernetes: system
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -z "$$CES_TEST_IMAGE" ]; then \
		PYTHON=$(PYTHON) tests/kubernetes/local/prepare.sh \
			"$${CES_IMAGES:-/var/cache/pangeo_ces/images}" >/dev/null \
		|| echo "no Kubernetes could be built: its tests will skip, or build it themselves"; \
	fi

# Files go to one process more than there are cores; those of one cluster stay together.  Kubernetes
# is built meanwhile; the tests that need it wait.
test: system
	@$(MAKE) --no-print-directory kubernetes & $(MAKE) --no-print-directory install \
		&& $(MAKE) --no-print-directory -j peers check \
		&& $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

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

# Newest versions that fit pyproject.toml, for every platform and Python it admits; the image has those
# of them that it needs.
LOCK := -m uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate pyproject.toml
lock:
	$(PYTHON) -m pip install --quiet uv
	$(PYTHON) $(LOCK) --upgrade --group test --group check --group bench --group docs --group hub \
		--all-extras -o constraints.txt
	$(PYTHON) $(LOCK) --constraint constraints.txt --group hub --extra s3 --extra webdav --extra serve \
		-o deployments/image/requirements.txt

clean:
	rm -rf $(VENV) demo-output docs/_build .pytest_cache .mypy_cache .ruff_cache
