#!/bin/bash
# localhost/ces:1 from deployments/image/Dockerfile and localhost/pause:1, as WORKDIR/ces.tar and
# WORKDIR/pause.tar for containerd.  Needs buildah and debootstrap, and no image registry.
# Usage: images.sh WORKDIR      environment: PYTHON, CES_K8S_BIN (made by build.sh)
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
PROJECT=$(cd "$HERE/../../.." && pwd)
WORK=$(mkdir -p "$1" && cd "$1" && pwd)
PYTHON=${PYTHON:-python3}
K8S_BIN=${CES_K8S_BIN:-/var/cache/pangeo_ces/k8s}
IMAGE=$PROJECT/deployments/image
exec 9>"$WORK/.lock"
flock 9
. "$HERE/environment.sh" "$WORK"
say() { echo "$(date +%T) $*"; }

# Nothing to do when nothing changed that goes into the image.
stamp=$(cd "$PROJECT" && find pangeo_ces notebooks deployments/image pyproject.toml README.md LICENSE \
  -type f -not -path '*/__pycache__/*' -not -path '*/.ipynb_checkpoints/*' -print0 |
  sort -z | xargs -0 sha256sum | sha256sum)
if [ -e "$WORK/ces.tar" ] && [ -e "$WORK/pause.tar" ] && [ "$(cat "$WORK/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi
rm -f "$WORK/stamp"
"$HERE/base.sh" "$WORK"
say base

# Wheels come by the way pip knows on this machine; the build itself has no network.
if ! cmp -s "$IMAGE/requirements.txt" "$WORK/wheels/requirements.txt"; then
  rm -rf "$WORK/wheels"
  "$PYTHON" -m pip download --quiet --quiet --disable-pip-version-check --require-hashes --no-deps \
    --only-binary :all: -r "$IMAGE/requirements.txt" -d "$WORK/wheels"
  cp "$IMAGE/requirements.txt" "$WORK/wheels/"
fi
say wheels

# docker-archive is written and imported three times faster than oci-archive (no gzip).  Layers are
# kept: a change of our source costs seconds.
build() { # NAME ARGUMENT...
  local name=$1
  shift
  buildah bud -q --layers --network none -t "localhost/$name:1" "$@" >/dev/null
  rm -f "$WORK/$name.tar"
  buildah push -q "localhost/$name:1" "docker-archive:$WORK/$name.tar:localhost/$name:1"
  say "$name"
}
build ces --build-arg BASE=localhost/python:3 -v "$WORK/wheels:/wheels:ro" \
  --build-arg PIP_OPTIONS="--no-index --find-links /wheels" -f "$IMAGE/Dockerfile" "$PROJECT"
mkdir -p "$WORK/pause"
cp "$K8S_BIN/pause" "$WORK/pause/"
printf 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n' >"$WORK/pause/Dockerfile"
build pause "$WORK/pause"
echo "$stamp" >"$WORK/stamp"
