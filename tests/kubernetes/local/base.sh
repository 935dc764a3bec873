#!/bin/bash
# The image localhost/python:3: this machine's Debian, made by debootstrap, with the Python that
# PYTHON is or comes from, in /usr/local.  It stands for an official Python image where no image
# registry can be reached.  Usage: base.sh WORKDIR       (after: . environment.sh WORKDIR)
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
WORK=$(cd "$1" && pwd)
PYTHON=${PYTHON:-python3}
. "$HERE/debian_sources.sh"
RELEASE=$(. /etc/os-release && echo "$VERSION_CODENAME")
LIBRARIES=ca-certificates,libbz2-1.0,libexpat1,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0
LIBRARIES=$LIBRARIES,libssl3,libuuid1,zlib1g

if buildah inspect --type image localhost/python:3 >/dev/null 2>&1; then
  exit 0
fi
prefix=$("$PYTHON" -c 'import sys; print(sys.base_prefix)')
version=$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
[ "$prefix" != /usr ] || { echo "no Python of its own prefix: set PYTHON to one" >&2; exit 1; }

rm -rf "$WORK/rootfs"
debootstrap --variant=minbase --include="$LIBRARIES" "$RELEASE" "$WORK/rootfs" \
  "$(debian_mirror)" >"$WORK/debootstrap.log" 2>&1
rm -rf "$WORK"/rootfs/var/cache/apt/archives/*.deb "$WORK"/rootfs/var/lib/apt/lists/*
library=$prefix/lib/$version
cp -a "$prefix/bin/$version" "$WORK/rootfs/usr/local/bin/"
ln -s "$version" "$WORK/rootfs/usr/local/bin/python3"
cp -a "$prefix"/lib/lib"$version"*.so* "$WORK/rootfs/usr/local/lib/" 2>/dev/null || true
mkdir -p "$WORK/rootfs/usr/local/lib/$version/site-packages"
for part in "$library"/*; do
  case ${part##*/} in
    site-packages | test | idlelib | tkinter | turtledemo | config-*) ;;
    *) cp -a "$part" "$WORK/rootfs/usr/local/lib/$version/" ;;
  esac
done
chroot "$WORK/rootfs" /sbin/ldconfig
container=$(buildah from scratch)
buildah copy -q "$container" "$WORK/rootfs" / >/dev/null
# An image from scratch has no PATH of its own.
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env LANG=C.UTF-8 --cmd /bin/bash "$container"
buildah commit -q --rm "$container" localhost/python:3 >/dev/null
rm -rf "$WORK/rootfs"
