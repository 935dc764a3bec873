"""Job queues by dask-jobqueue: lost jobs come again, and none outlives what started it.

``dask-jobqueue`` alone never submits a job again under a fixed number of workers, nor under
adaptive scaling with several processes in a job; it waits for ever for jobs that were refused or
that ended before their worker came; and pending jobs stay queued when their driver is killed.
The clusters made here are its own, with a look at the jobs once a second.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import dask.config

from ..errors import ConfigError, ParameterError
from .jobs import Guard, Job, seconds, short, squeue

#: Class of dask-jobqueue for each queue, and the programs that it runs.
_QUEUES = {
    "slurm": ("SLURMCluster", ("sbatch", "scancel", "squeue")),
    "pbs": ("PBSCluster", ("qsub", "qdel")),
    "lsf": ("LSFCluster", ("bsub", "bkill")),
    "sge": ("SGECluster", ("qsub", "qdel")),
    "htcondor": ("HTCondorCluster", ("condor_submit", "condor_rm")),
    "oar": ("OARCluster", ("oarsub", "oardel")),
}

#: What counts where neither the entry nor ``jobqueue.QUEUE`` of Dask's configuration says it.
_DEFAULTS: dict[str, Any] = {
    "cores": 1,
    "memory": "4GiB",
    "processes": 1,
    "job_name": "ces-worker",
    "log_directory": "ces-jobs",
}


def slurm(**args: Any) -> Any:
    """A Dask cluster whose workers are SLURM jobs; arguments as of ``SLURMCluster``."""
    return guarded("slurm", **args)


def pbs(**args: Any) -> Any:
    """A Dask cluster whose workers are PBS jobs; arguments as of ``PBSCluster``."""
    return guarded("pbs", **args)


def lsf(**args: Any) -> Any:
    """A Dask cluster whose workers are LSF jobs; arguments as of ``LSFCluster``."""
    return guarded("lsf", **args)


def sge(**args: Any) -> Any:
    """A Dask cluster whose workers are Grid Engine jobs; arguments as of ``SGECluster``."""
    return guarded("sge", **args)


def htcondor(**args: Any) -> Any:
    """A Dask cluster whose workers are HTCondor jobs; arguments as of ``HTCondorCluster``."""
    return guarded("htcondor", **args)


def oar(**args: Any) -> Any:
    """A Dask cluster whose workers are OAR jobs; arguments as of ``OARCluster``."""
    return guarded("oar", **args)


def missing(queue: str, args: dict[str, Any]) -> list[str]:
    """What hinders jobs from being submitted here, each with how to mend it.

    Parameters
    ----------
    queue
        ``slurm``, ``pbs``, ``lsf``, ``sge``, ``htcondor`` or ``oar``.
    args
        As for the function of that name.
    """
    try:
        package()
    except ConfigError as error:
        return [str(error)]
    programs = _QUEUES[queue][1]
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        return [f"no program {', '.join(absent)}: run this on a login node, or load its module"]
    if queue == "slurm":
        try:
            done = subprocess.run(  # noqa: S603
                squeue(), capture_output=True, text=True, timeout=15, check=False
            )
        except subprocess.TimeoutExpired:
            return ["squeue does not answer within 15 s: ask those who run it, or see SLURM_CONF"]
        if done.returncode:
            return [f"{short(done.stderr)}: ask those who run the cluster, or see SLURM_CONF"]
    try:
        _settled(queue, args)
    except (ConfigError, ParameterError) as error:
        return [str(error)]
    return []


def guarded(queue: str, /, **args: Any) -> Any:
    """A cluster of dask-jobqueue that replaces lost jobs and leaves none behind.

    Parameters
    ----------
    queue
        ``slurm``, ``pbs``, ``lsf``, ``sge``, ``htcondor`` or ``oar``.
    args
        As of the class of dask-jobqueue; ``jobqueue.QUEUE`` of Dask's configuration counts
        where they are silent.  Besides: ``poll`` (``10s``), how often ``squeue`` is asked while
        the worker of a job is awaited, and ``idle`` (``30s``), for how long a worker must have
        nothing to do before adaptive scaling ends its job.

    Raises
    ------
    ConfigError
        When dask-jobqueue is not installed, or does not know an argument.
    """
    module = package()
    base = getattr(module, _QUEUES[queue][0])
    args = _settled(queue, args)
    times = {key: seconds(args.pop(key, default))
             for key, default in (("poll", "10s"), ("idle", "30s"))}  # fmt: skip
    job = type(base.job_cls.__name__, (Job, base.job_cls), {"told": None})
    kind = type(base.__name__, (Guard, base), {"job_cls": job, **times})
    try:
        return kind(**args)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{queue}: {error}; correct its args under ces.clusters") from error


def package() -> Any:
    """The module ``dask_jobqueue``, imported without its handler of Ctrl-C.

    Its own ends the process with status 0.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue
    except ImportError as error:
        raise ConfigError(f"{error}: pip install 'pangeo_ces[jobqueue]'") from error
    except ValueError as error:  # a handler can only be set in the main thread
        raise ConfigError(f"{error}: connect to job queues from the main thread") from error
    finally:
        if main and before is not None:
            signal.signal(signal.SIGINT, before)
    return dask_jobqueue


def walltime_seconds(walltime: str | int, queue: str = "slurm") -> int:
    """Seconds of a wall time as the queue writes it.

    >>> walltime_seconds("01:30:00"), walltime_seconds("1-12"), walltime_seconds("30")
    (5400, 129600, 1800)
    >>> walltime_seconds("01:30", "lsf"), walltime_seconds("01:30", "slurm")
    (5400, 90)
    """
    text = str(walltime).strip()
    try:
        days, dash, rest = text.rpartition("-")
        parts = [int(part) for part in rest.split(":")]
        if dash:  # days-hours[:minutes[:seconds]], of SLURM only
            if queue != "slurm":
                raise ValueError
            units = [3600, 60, 1][: len(parts)]
        elif len(parts) == 2 and queue in ("lsf", "oar"):
            units = [3600, 60]
        elif len(parts) == 1:
            units = [{"slurm": 60, "lsf": 60, "oar": 3600}.get(queue, 1)]
        else:
            units = [3600, 60, 1][-len(parts) :]
        total = sum(p * unit for p, unit in zip(parts, units, strict=True))
        return total + 86400 * int(days or 0)
    except ValueError:
        raise ParameterError(f"walltime {text!r} is not understood: write it as 01:00:00") from None


def _settled(queue: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with our defaults, and with the lifetime that follows from the walltime."""
    args = dict(given)
    section = f"jobqueue.{args.get('config_name') or queue}"

    def site(key: str) -> Any:
        key = "name" if key == "job_name" else key.replace("_", "-")
        value = dask.config.get(f"{section}.{key}", None)
        return None if (key, value) == ("name", "dask-worker") else value  # what all have

    for key, default in _DEFAULTS.items():
        if args.get(key) is None:
            args[key] = site(key) if site(key) is not None else default
    if queue == "htcondor" and args.get("disk") is None and site("disk") is None:
        args["disk"] = "4GiB"
    args["log_directory"] = str(Path(str(args["log_directory"])).expanduser().absolute())
    extra = list(args.get("worker_extra_args") or site("worker_extra_args") or [])
    walltime = args.get("walltime") or site("walltime")
    if walltime and not any(str(word).startswith("--lifetime") for word in extra):
        # A worker that leaves before its job is ended hands over what it holds, and its last
        # tasks do not count as failed.  Not all at once, or nobody could take it over.
        total = walltime_seconds(walltime, queue)
        margin, stagger = min(300, total // 10), total // 10
        extra += ["--lifetime", f"{total - margin - stagger}s",
                  "--lifetime-stagger", f"{stagger}s"]  # fmt: skip
    args["worker_extra_args"] = extra
    return args
