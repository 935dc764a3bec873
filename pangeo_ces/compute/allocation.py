"""Inside an allocation: scheduler, client and workers are tasks of one ``srun`` or ``mpiexec``.

Every task runs the same command.  The calls below return in one of them, which goes on with what
is to be computed; in the others they serve, and end the process when that one is done.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dask.config

from ..errors import ConfigError
from .jobqueue import package

#: The least number of tasks: a scheduler, a client, a worker.
_LEAST = 3


def missing(kind: str, args: dict[str, Any]) -> list[str]:
    """What hinders a start inside an allocation, each with how to mend it.

    Parameters
    ----------
    kind
        ``slurm_runner`` or ``mpi_runner``.
    args
        As for the function of that name.
    """
    if kind == "slurm_runner":
        try:
            package()
        except ConfigError as error:
            return [str(error)]
        here = shutil.which("srun") is not None
        return [] if here else ["no program srun: run this inside an allocation of SLURM"]
    # Not imported: that starts MPI, which some login nodes do not allow.
    absent = [name for name in ("dask_mpi", "mpi4py") if importlib.util.find_spec(name) is None]
    return [f"no package {name}: pip install 'pangeo_ces[mpi]'" for name in absent]


def slurm_runner(
    *,
    scheduler_directory: str | os.PathLike[str] = ".",
    scheduler_options: dict[str, Any] | None = None,
    worker_options: dict[str, Any] | None = None,
    worker_class: str | None = None,
) -> Allocation:
    """The tasks of an ``srun`` as a Dask cluster: the first is the scheduler, the second goes on.

    Parameters
    ----------
    scheduler_directory
        A folder that all nodes see, for the file with the scheduler's address.
    scheduler_options, worker_options, worker_class
        As of ``SLURMRunner`` of dask-jobqueue.  A worker has as many threads as
        ``--cpus-per-task`` says, and the memory that SLURM gives the task, where that is known.

    Raises
    ------
    ConfigError
        Outside of ``srun``, with too few tasks, or without dask-jobqueue.
    """
    number, tasks = (os.environ.get(f"SLURM_{name}", "") for name in ("PROCID", "NTASKS"))
    if "SLURM_STEP_ID" not in os.environ or not (number and tasks):
        raise ConfigError("this is no task of srun: start it as srun -n 4 ces … inside a job")
    if int(tasks) < _LEAST:
        raise ConfigError(
            f"srun started {tasks} tasks, a scheduler, a client and a worker need {_LEAST}: give "
            "srun a larger -n"
        )
    module = package()
    # Named by the step too: a second srun of the same job would find the address of the first.
    step = f"{os.environ['SLURM_JOB_ID']}.{os.environ['SLURM_STEP_ID']}"
    file = Path(scheduler_directory).expanduser().absolute() / f"ces-scheduler-{step}.json"
    options = {"nthreads": int(os.environ.get("SLURM_CPUS_PER_TASK") or 1)}
    memory = _memory_of_task(options["nthreads"])
    if memory:
        options["memory_limit"] = memory
    with _EndOnInterrupt():
        runner = module.slurm.SLURMRunner(
            scheduler_file=str(file),
            scheduler_options=dict(scheduler_options or {}),
            worker_options=options | (worker_options or {}),
            worker_class=worker_class,
        )

    def close() -> None:
        runner.close()
        file.unlink(missing_ok=True)

    return Allocation(runner.scheduler_address, int(tasks) - 2, close)


def mpi_runner(**args: Any) -> Allocation:
    """The ranks of an ``mpiexec`` as a Dask cluster: rank 0 is the scheduler, rank 1 goes on.

    Parameters
    ----------
    args
        As of ``initialize`` of dask-mpi.

    Raises
    ------
    ConfigError
        With too few ranks, or without dask-mpi, mpi4py or an MPI library.
    """
    dask_mpi, comm = _mpi()
    if comm.Get_size() < _LEAST:
        raise ConfigError(
            f"there are {comm.Get_size()} MPI ranks, a scheduler, a client and a worker need "
            f"{_LEAST}: start it as mpiexec -n 4 ces …"
        )
    before = dask.config.get("scheduler_address", None)
    with _EndOnInterrupt():
        if not dask_mpi.initialize(exit=False, **args):
            sys.exit(0)
    address = dask.config.get("scheduler_address")

    def close() -> None:
        from dask.distributed import Client

        with suppress(OSError, TimeoutError), Client(address, timeout=5) as client:
            client.shutdown()
        dask.config.set(scheduler_address=before)

    return Allocation(address, comm.Get_size() - 2, close)


class Allocation:
    """A Dask cluster with the workers of its allocation.

    Parameters
    ----------
    scheduler_address
        For ``Client``.
    n_workers
        How many tasks are workers.
    close
        Ends the scheduler and the workers.
    """

    def __init__(self, scheduler_address: str, n_workers: int, close: Any):
        self.scheduler_address = scheduler_address
        self.n_workers = n_workers
        self._close = close
        self._closed = False

    @property
    def status(self) -> Any:
        """As of Dask's clusters: the client asks for it."""
        from distributed.core import Status

        return Status.closed if self._closed else Status.running

    def close(self) -> None:
        """End the scheduler and the workers; once is enough."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _EndOnInterrupt:
    """While a task serves, the signal by which Dask's runners end it means success."""

    def __enter__(self) -> None:
        self._before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread():
            raise ConfigError("a runner needs the main thread: connect before starting others")
        signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def _memory_of_task(cpus: int) -> int:
    """Bytes that SLURM gives a task, 0 if it does not say."""
    with suppress(KeyError, ValueError):
        return int(os.environ["SLURM_MEM_PER_CPU"]) * cpus << 20
    with suppress(KeyError, ValueError):
        tasks = os.environ.get("SLURM_NTASKS_PER_NODE") or os.environ["SLURM_TASKS_PER_NODE"]
        most = max(int(part.partition("(")[0]) for part in tasks.split(","))
        return (int(os.environ["SLURM_MEM_PER_NODE"]) << 20) // most
    return 0


def _mpi() -> tuple[Any, Any]:
    """The modules of MPI, and the communicator of all ranks."""
    try:
        dask_mpi = importlib.import_module("dask_mpi")
        comm = importlib.import_module("mpi4py.MPI").COMM_WORLD
    except (ImportError, RuntimeError) as error:
        raise ConfigError(
            f"{error}: pip install 'pangeo_ces[mpi]', and load the MPI module of the machine"
        ) from error
    return dask_mpi, comm
