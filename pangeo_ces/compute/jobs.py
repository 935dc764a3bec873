"""What is added to the clusters of dask-jobqueue: the fate of every job is seen to."""

from __future__ import annotations

import asyncio
import getpass
import math
import shlex
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask.config
from dask.utils import parse_timedelta

from ..errors import ConfigError

#: So many jobs in a row without a worker, and none left: the run is given up.
_ATTEMPTS = 3

#: Cancels the jobs that it was told of, unless the last word is "done".  It ignores the signals
#: that end its parent, and sees that it is gone by the end of its input.
_WATCHDOG = (
    "trap '' INT TERM HUP; ids=; "
    'while read -r id; do [ "$id" = done ] && exit 0; ids="$ids $id"; done; '
    '[ -z "$ids" ] || exec "$@" $ids'
)


def seconds(text: str | float) -> float:
    """Seconds of a time such as ``10s``."""
    try:
        return float(parse_timedelta(text, default="s"))
    except (ValueError, KeyError):
        raise ConfigError(f"{text!r} is no time: write it as 10s") from None


def squeue() -> list[str]:
    """The command that lists our jobs, pending and running."""
    return ["squeue", "--noheader", "--format=%i", f"--user={getpass.getuser()}"]


def short(text: str) -> str:
    """The last line that says something, or what a failed command wrote."""
    lines = [line.strip() for line in text.split("stderr:\n")[-1].splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason was given"


class Job:
    """What is added to a job of dask-jobqueue: what became of it."""

    told: Any  # is told the number of the job
    job_id: str | None
    log_directory: str | None
    cancel_command: str

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.arrived = False
        self.submitted = self.absent = time.monotonic()
        self.ended = ""
        self.again = math.inf

    async def start(self) -> None:
        from distributed.core import Status

        self.status = Status.running
        try:
            await super().start()  # type: ignore[misc]
        except (RuntimeError, OSError, ValueError) as error:
            # Whoever awaits this is a callback of the event loop: raised, it would be lost.
            self.ended = f"was refused: {short(str(error))}"
        self.submitted = self.absent = time.monotonic()
        if self.job_id and type(self).told:
            type(self).told(self.job_id)

    async def close(self) -> None:
        from distributed.core import Status

        await super().close()  # type: ignore[misc]
        self.status = Status.closed

    def last_words(self) -> str:
        """The end of what it wrote."""
        if not self.job_id or not self.log_directory:
            return ""
        logs = sorted(Path(self.log_directory).glob(f"*{self.job_id}*"))
        for log in [log for log in logs if log.suffix != ".out"] or logs:
            with suppress(OSError):
                with log.open("rb") as file:
                    file.seek(max(0, log.stat().st_size - 4000))
                    text = file.read().decode("utf-8", "replace")
                if text.strip():
                    return f", which wrote {short(text)!r} ({log})"
        return f", which wrote nothing into {self.log_directory}"


class Guard:
    """What is added to a cluster of dask-jobqueue."""

    poll: float
    idle: float
    job_cls: type[Job]
    failure: str | None = None  #: Why it was given up

    # Of the class beside it.
    status: Any
    scheduler: Any
    workers: dict[Any, Any]
    worker_spec: dict[Any, Any]
    periodic_callbacks: dict[str, Any]
    called_from_running_loop: bool

    def __init__(self, **args: Any):
        self._asked = -math.inf
        self._fruitless = 0
        self._looking = False
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._processes = int(args["processes"])
        super().__init__(**args)

    async def _start(self) -> None:
        from tornado.ioloop import PeriodicCallback

        self.job_cls.told = staticmethod(self._tell)
        await super()._start()  # type: ignore[misc]
        if "jobs" not in self.periodic_callbacks:
            self.periodic_callbacks["jobs"] = PeriodicCallback(self._look, 1000)
            self.periodic_callbacks["jobs"].start()

    def scale(self, n: int | None = None, jobs: int = 0, **more: Any) -> Any:
        adaptive = getattr(self, "_adaptive", None)
        if adaptive is not None and not self.called_from_running_loop:
            adaptive.stop(reason="a fixed number was asked for")
        return super().scale(n, jobs, **more)  # type: ignore[misc]

    def adapt(self, *args: Any, **kwargs: Any) -> Any:
        if self._processes > 1:
            raise ConfigError(
                f"adaptive scaling with {self._processes} processes in a job ends jobs that still "
                "compute: give a fixed number of workers, or set processes: 1 and its share of "
                "cores and memory"
            )
        kwargs.setdefault("interval", "1s")
        kwargs.setdefault("wait_count", max(1, math.ceil(self.idle)))
        return super().adapt(*args, **kwargs)  # type: ignore[misc]

    def _update_worker_status(self, op: str, msg: Any) -> None:
        # Without what SpecCluster does when a worker is gone: it forgets a job of one process
        # after 15 s, and would forget the one that was submitted in its place.
        from distributed.deploy import Cluster

        Cluster._update_worker_status(self, op, msg)  # type: ignore[arg-type]

    async def _close(self) -> None:
        await super()._close()  # type: ignore[misc]
        if self._watchdog is not None:  # no job is left that it could cancel
            with suppress(OSError, subprocess.TimeoutExpired):
                self._watchdog.communicate(b"done\n", timeout=5)
            self._watchdog = None

    def _tell(self, job_id: str) -> None:
        """Have a job cancelled when this process ends without closing the cluster."""
        if self._watchdog is None:
            command = shlex.split(self._dummy_job.cancel_command)  # type: ignore[attr-defined]
            self._watchdog = subprocess.Popen(  # noqa: S603
                ["sh", "-c", _WATCHDOG, "ces-watchdog", *command], cwd="/",  # noqa: S607
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        with suppress(OSError):
            assert self._watchdog.stdin is not None
            self._watchdog.stdin.write(f"{job_id}\n".encode())
            self._watchdog.stdin.flush()

    async def _look(self) -> None:
        """See to jobs whose workers are not here."""
        from distributed.core import Status

        if self.status != Status.running or self._looking:
            return
        self._looking = True
        try:
            if self.failure is None:
                await self._see_to_jobs(time.monotonic())
            if self.failure is not None:
                self._cancel_tasks()
        finally:
            self._looking = False

    async def _see_to_jobs(self, now: float) -> None:
        here = {str(worker.name) for worker in self.scheduler.workers.values()}
        awaited = {}
        for name, job in list(self.workers.items()):
            group = [""] if self._processes == 1 else [f"-{i}" for i in range(self._processes)]
            if any(f"{name}{suffix}" in here for suffix in group):
                if not job.arrived:
                    self._fruitless = 0
                job.arrived, job.absent, job.ended = True, now, ""
            else:
                awaited[name] = job
        queued = await self._queued(now) if awaited else None
        limit = seconds(dask.config.get("distributed.deploy.lost-worker-timeout"))
        due = []
        for name, job in awaited.items():
            if not job.ended:
                if queued is not None and job.job_id not in queued and now - job.submitted > 2:
                    job.ended = f"ended before its worker came{job.last_words()}"
                elif job.arrived and now - job.absent > limit:
                    job.ended = "is there, but its workers are not"
            if job.ended and job.again == math.inf:
                wait = 0.0
                if not job.arrived:
                    self._fruitless += 1
                    wait = self.poll * min(2**self._fruitless / 2, 64)
                job.again = now + wait
                if self._fruitless >= _ATTEMPTS and not here:
                    self._give_up(job)
                    return
            if now >= job.again:
                due.append(name)
        if due:
            for job in [self.workers.pop(name) for name in due if name in self.workers]:
                await job.close()
            if self.status.name == "running":
                await self._correct_state()  # type: ignore[attr-defined]

    async def _queued(self, now: float) -> set[str] | None:
        """Jobs that the queue knows; ``None`` when it was not asked, or did not answer."""
        if self.job_cls.cancel_command != "scancel" or now - self._asked < self.poll:
            return None
        self._asked = now
        try:
            out = await asyncio.wait_for(self.job_cls._call(squeue()), 60)  # type: ignore[attr-defined]
        except (RuntimeError, OSError, TimeoutError):
            return None  # a busy controller; asked again
        return set(out.split())

    def _give_up(self, job: Job) -> None:
        number = f" ({job.job_id})" if job.job_id else ""
        self.failure = (
            f"{self._fruitless} jobs in a row brought no worker: the last one{number} {job.ended}; "
            "see that the nodes have this environment under the same path, and that queue, "
            "account, memory and walltime are allowed, then run this again"
        )

    def _cancel_tasks(self) -> None:
        """Wake up those who wait for results; the reason goes with it."""
        for key, client in list(self.scheduler.clients.items()):
            keys = [task.key for task in client.wants_what]
            if keys:
                self.scheduler.client_releases_keys(keys=keys, client=key, stimulus_id="no-workers")
                self.scheduler.report({"op": "cancelled-keys", "keys": keys,
                                       "reason": "no workers", "msg": self.failure})  # fmt: skip
