#!/bin/bash
# On a machine with a network, of the same architecture and Python as the nodes: all wheels.
#   ./wheelhouse.sh FOLDER [PYTHON]        in a checkout of this project
# Versions and hashes are those of constraints.txt; take the folder to the cluster.
set -eu
folder=$(realpath -m "${1:?give a folder for the wheels}")
python=${2:-python3}
root=$(cd "$(dirname "$0")/../../.." && pwd)
mkdir -p "$folder"
# What has no wheel is built here, where compilers are.
"$python" -m pip wheel --quiet --no-deps --require-hashes -r "$root/constraints.txt" -w "$folder"
"$python" -m pip wheel --quiet --no-deps --no-build-isolation -w "$folder" "$root"
(cd "$folder" && sha256sum -- *.whl > SHA256SUMS)
