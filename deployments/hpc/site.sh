# Sourced by every job: what differs between sites.  All of it can be set from outside.

# module load python/3.13 openmpi

# The environment, seen by all nodes: a venv (environment/venv.sh) or an unpacked conda-pack.
CES_ENV="${CES_ENV:-$HOME/ces-env}"
if [ ! -x "$CES_ENV/bin/ces" ]; then
    echo "site.sh: no $CES_ENV/bin/ces: make the environment, or set CES_ENV" >&2
    exit 1
fi
export PATH="$CES_ENV/bin:$PATH"

# The clusters of this site.
export DASK_CONFIG="${DASK_CONFIG:-$CES_SITE/ces.yaml}"

# A disk of the node, for what workers spill.  Burst buffers: DataWarp gives $DW_JOB_STRIPED (with
# a line `#DW jobdw capacity=1TB access_mode=striped type=scratch` in the job), some sites $BB_JOB_DIR.
CES_LOCAL="${CES_LOCAL:-${DW_JOB_STRIPED:-${BB_JOB_DIR:-${TMPDIR:-/tmp}}}}"
export DASK_TEMPORARY_DIRECTORY="$CES_LOCAL"

# Programs alone may fill a small worker to where Dask pauses it, and it would wait for ever.
# Dask's statistical profile takes an eighth of the time, and memory.
export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE="${DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE:-False}"
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED="${DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED:-False}"

# Compiled functions, where the environment is read-only.  On a shared disk only the first job compiles.
if [ ! -w "$CES_ENV" ]; then
    export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ces-numba}"
fi

# Dask's threads are the only ones: a job has the cores that it asked for.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
export MPLBACKEND=agg
