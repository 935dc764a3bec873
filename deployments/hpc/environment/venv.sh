#!/bin/bash
# On the cluster, without a network: an environment on a disk that all nodes see.
#   ./venv.sh WHEELS ENVIRONMENT [PYTHON]
# It is not moved afterwards: its programs name its path.
set -eu
wheels=$(realpath "${1:?give the folder that wheelhouse.sh made}")
environment=$(realpath -m "${2:?give a folder for the environment}")
python=${3:-python3}
(cd "$wheels" && sha256sum --quiet --check SHA256SUMS)
"$python" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
    "$wheels"/*.whl
# Once, here: nodes that compile at the same moment load the file system.
"$environment/bin/python" -m compileall -qq "$environment/lib" || true
"$environment/bin/ces" --version
