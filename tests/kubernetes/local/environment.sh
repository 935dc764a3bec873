# Sourced: buildah and podman with their storage in $1 and the settings of this folder.
_here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
_work=$(mkdir -p "$1" && cd "$1" && pwd)
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/store"\nrunroot = "%s/run"\n' \
  "$_work" "$_work" >"$_work/storage.conf"
export CONTAINERS_CONF=$_here/containers.conf
export CONTAINERS_STORAGE_CONF=$_work/storage.conf
export STORAGE_DRIVER=overlay BUILDAH_ISOLATION=chroot
