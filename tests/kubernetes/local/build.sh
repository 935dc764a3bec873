#!/bin/bash
# Build a real Kubernetes 1.20.2 (kube-apiserver, kube-controller-manager, kube-scheduler, kubelet,
# kube-proxy, pause) from Debian bookworm's own source package with Debian's Go.  Needs root and apt.
# Usage: build.sh [DEST]            DEST defaults to CES_K8S_BIN, else /var/cache/pangeo_ces/k8s
# About 6 minutes on 2 cores; 1.6 GB of scratch space in DEST/.build, removed at the end.
# A second call does nothing.
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/debian_sources.sh"
VERSION='1.20.5+really1.20.2-1.1+deb12u1'
PACKAGES="golang-go golang-github-modern-go-reflect2-dev rsync jq make gcc libc6-dev patch dpkg-dev"

DEST=${1:-${CES_K8S_BIN:-/var/cache/pangeo_ces/k8s}}
DEST=$(mkdir -p "$DEST" && cd "$DEST" && pwd)
BUILD=$DEST/.build
if [ -x "$DEST/kubelet" ] && [ -x "$DEST/kube-proxy" ] && [ -x "$DEST/pause" ]; then
  exit 0
fi
# One build at a time; whoever waited finds the programs there.
exec 9>"$DEST/.lock"
flock 9
[ ! -x "$DEST/pause" ] || exit 0
"$HERE/packages.sh" $PACKAGES

# A private apt, so that the machine's own sources stay as they are.
rm -rf "$BUILD"
mkdir -p "$BUILD"/apt/{lists/partial,cache/archives/partial,sources.d}
debian_source_packages >"$BUILD/apt/sources.d/source.sources"
apt=(apt-get -qq
  -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$BUILD/apt/sources.d"
  -o "Dir::State::Lists=$BUILD/apt/lists" -o "Dir::Cache=$BUILD/apt/cache"
  -o APT::Sandbox::User=root)
"${apt[@]}" update
cd "$BUILD"
"${apt[@]}" source --download-only "kubernetes=$VERSION"
tar xf kubernetes_*.orig.tar.gz
cd kubernetes-1.20.2
tar xf ../kubernetes_*.debian.tar.xz
while read -r name; do
  patch -s -p1 <"debian/patches/$name"
done <debian/patches/series

# (1) The vendored reflect2 crashes with Go 1.18 and later (SIGSEGV on the first custom resource):
#     take Debian's 1.0.2.
reflect2=vendor/github.com/modern-go/reflect2
rm -f $reflect2/*.go $reflect2/*.s
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $reflect2/
# (2) Discovery must give singularName, as Kubernetes 1.27 and later do, else kr8s (used by
#     dask-kubernetes) fails: kr8s issue 652.
installer=staging/src/k8s.io/apiserver/pkg/endpoints/installer.go
sed -i 's|^\tapiResource.Verbs = make(\[\]string, 0, len(kubeVerbs))|\tif !strings.Contains(apiResource.Name, "/") {\n\t\tapiResource.SingularName = strings.ToLower(apiResource.Kind)\n\t}\n&|' $installer
grep -q SingularName $installer

cat >"$BUILD/version" <<'VERSION_FILE'
KUBE_GIT_COMMIT='debian'
KUBE_GIT_TREE_STATE='archive'
KUBE_GIT_VERSION='v1.20.2'
KUBE_GIT_MAJOR='1'
KUBE_GIT_MINOR='20'
VERSION_FILE
export GOPATH=$PWD/.go GO111MODULE=off GOPROXY=off GOFLAGS= CGO_ENABLED=0
export HOME=$BUILD/home GOCACHE=$BUILD/gocache KUBE_GIT_VERSION_FILE=$BUILD/version
mkdir -p "$HOME" .go/src/k8s.io
ln -sfn ../../.. .go/src/k8s.io/kubernetes
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
make WHAT="${programs[*]/#/cmd/}"
for program in "${programs[@]}"; do
  cp "_output/local/bin/linux/amd64/$program" "$DEST/"
done
# The process that holds a pod's namespaces: reaps its children, ends on SIGTERM.
gcc -Os -static -o "$BUILD/pause" -x c - <<'PAUSE'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void reap(int s) { while (waitpid(-1, 0, WNOHANG) > 0) ; }
static void quit(int s) { _exit(0); }
int main(void) {
  signal(SIGINT, quit); signal(SIGTERM, quit); signal(SIGCHLD, reap);
  for (;;) pause();
}
PAUSE
mv "$BUILD/pause" "$DEST/pause"
cd "$DEST"
chmod -R u+w "$BUILD"
rm -rf "$BUILD"
