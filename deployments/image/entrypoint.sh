#!/bin/sh
# Give numba's compiled functions a place of this container's own, then run what was asked for.
if mkdir -p "$NUMBA_CACHE_DIR" 2>/dev/null; then
  cp -r /opt/ces/numba/. "$NUMBA_CACHE_DIR" 2>/dev/null
fi
exec $CES_PROGRAM "$@"
