"""A real SLURM on this machine: munge, a controller and three nodes of two cores.

Debian's slurmd can run several times on a host, each as a node with a port of its own.  Cores and
memory of a node are said, not measured, and nothing enforces the memory of a job.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "deployments" / "hpc"
NODES = 3

#: What the tests change in the site's ces.yaml: little memory, and seconds instead of minutes.
_ARGS = {
    "cores": "1", "memory": "1GiB", "poll": "1s", "idle": "2s", "interface": "lo",
    "scheduler_options": "{'dashboard_address': '127.0.0.1:0'}",
}  # fmt: skip


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [item.getsockname()[1] for item in sockets]


def _configuration(state: Path) -> str:
    user = pwd.getpwuid(os.getuid()).pw_name
    host = socket.gethostname().split(".")[0]
    controller, *ports = _ports(NODES + 1)
    nodes = "\n".join(
        f"NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 "
        "RealMemory=8000 State=UNKNOWN"
        for number, port in enumerate(ports)
    )
    # No cgroups and no accounting: what a machine without privileges offers.  Schedule at once.
    return f"""
ClusterName=ces
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={state}/munge/sock
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/spool/%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd-%n.pid
PlugStackConfig={state}/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2,sched_min_interval=0
ReturnToService=2
KillWait=2
DefMemPerCPU=500
SlurmdParameters=config_overrides
MailProg=/bin/true
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """How tests ask and use it."""

    def __init__(self, env: dict[str, str]):
        self.env = env

    def run(self, *command: object, cwd: Path | None = None, timeout: float = 120,
            **more: str) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """A command in the environment of a user of the cluster."""
        return subprocess.run(
            [str(word) for word in command], env={**self.env, **more}, cwd=cwd,
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def jobs(self, name: str = "", state: str = "") -> list[str]:
        """Numbers of the jobs in the queue."""
        command = ["squeue", "--noheader", "--format=%i", "--array"]
        command += [f"--name={name}"] if name else []
        command += [f"--states={state}"] if state else []
        return self.run(*command).stdout.split()

    def wait(self, condition: Callable[[], object], seconds: float = 30) -> bool:
        """Whether it became true in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def is_empty(self, seconds: float = 15) -> bool:
        """Whether no job is left."""
        return self.wait(lambda: not self.jobs(), seconds)


@pytest.fixture(scope="session")
def _daemons() -> Iterator[dict[str, str]]:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    programs = {}
    for name in ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo"):
        programs[name] = shutil.which(name, path=path)
        if programs[name] is None:
            pytest.skip(f"no SLURM: {name} is not installed (packages munge, slurmctld, slurmd, "
                        "slurm-client)")  # fmt: skip
    # Not imported: that would set a handler of Ctrl-C for all tests that follow.
    if importlib.util.find_spec("dask_jobqueue") is None:
        pytest.skip("dask-jobqueue is not installed")
    state = Path(tempfile.mkdtemp(prefix="ces-slurm-", dir="/tmp"))  # short: it holds a socket
    running: list[subprocess.Popen[bytes]] = []
    env = {**os.environ, "SLURM_CONF": f"{state}/slurm.conf"}

    def start(*command: str) -> None:
        log = (state / f"{len(running)}.log").open("wb")
        running.append(subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env, cwd=state,
            preexec_fn=_end_with_parent,
        ))  # fmt: skip
        log.close()

    def until(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or running[-1].poll() is not None:
                logs = "\n".join(log.read_text(errors="replace")[-500:]
                                 for log in sorted(state.glob("*.log")))  # fmt: skip
                pytest.skip(f"SLURM does not start on this machine: {logs}")
            time.sleep(0.1)

    def idle() -> bool:
        done = subprocess.run([programs["sinfo"], "-h", "-N", "-o", "%T"], env=env,
                              capture_output=True, text=True, timeout=20, check=False)  # fmt: skip
        return done.stdout.split().count("idle") == NODES

    try:
        for name in ("ctld", "munge", *(f"spool/n{number}" for number in range(NODES))):
            (state / name).mkdir(parents=True)
        state.chmod(0o755)  # munged refuses a folder that others can write to
        (state / "munge").chmod(0o755)
        (state / "plugstack.conf").write_text("")
        (state / "slurm.conf").write_text(_configuration(state))
        key, sock = state / "munge" / "key", state / "munge" / "sock"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        start(programs["munged"], "--foreground", "--force", f"--key-file={key}",
              f"--socket={sock}", f"--pid-file={state}/munge/pid",
              f"--log-file={state}/munge/log", f"--seed-file={state}/munge/seed")  # fmt: skip
        until(sock.exists, 10)
        start(programs["slurmctld"], "-D", "-f", f"{state}/slurm.conf")
        for number in range(NODES):
            start(programs["slurmd"], "-D", "-f", f"{state}/slurm.conf", "-N", f"n{number}")
        until(idle, 30)
        yield {"SLURM_CONF": f"{state}/slurm.conf"}
    finally:
        if len(running) > 1 and running[1].poll() is None:  # scancel waits for a dead controller
            with contextlib.suppress(subprocess.SubprocessError):
                subprocess.run(["scancel", f"--user={os.getuid()}"], env=env, timeout=20,
                               check=False)  # fmt: skip
                for _ in range(50):
                    left = subprocess.run(["squeue", "-h"], env=env, capture_output=True,
                                          timeout=20, check=False)  # fmt: skip
                    if not left.stdout:
                        break
                    time.sleep(0.1)
        for process in reversed(running):
            process.terminate()
        for process in reversed(running):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def slurm(_daemons, tmp_path, monkeypatch) -> Iterator[Slurm]:
    """The cluster, with the site's own files, for this process and for commands."""
    # SLURM's variables of a job that the tests themselves may run in are of another cluster.
    for name in [name for name in os.environ if name.startswith(("SLURM", "SBATCH"))]:
        monkeypatch.delenv(name)
    given = {f"DASK_CES__CLUSTERS__SLURM__ARGS__{key.upper()}": value
             for key, value in _ARGS.items()}  # fmt: skip
    given |= {"CES_SITE": str(SITE), "CES_ENV": sys.prefix, "DASK_CONFIG": str(SITE / "ces.yaml"),
              "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}", **_daemons}  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    settings = dask.config.collect(paths=[str(SITE / "ces.yaml")], env=os.environ)
    cluster = Slurm(dict(os.environ))
    with dask.config.set({"ces.clusters": settings["ces"]["clusters"],
                          "ces.cluster": "slurm"}):  # fmt: skip
        yield cluster
    if not cluster.is_empty():
        left = cluster.run("squeue").stdout
        cluster.run("scancel", f"--user={os.getuid()}")
        cluster.is_empty()
        pytest.fail(f"jobs are left: {left}")


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> str:
    import pangeo_ces as ces

    return ces.samples.german_events(str(tmp_path_factory.mktemp("slurm") / "store"))


RECIPE = {"freqmin": 0.03, "freqmax": 0.08}


@pytest.fixture(scope="session")
def expected(store, tmp_path_factory):
    """The recipe's outcome in one thread of this process."""
    from pangeo_ces.workflow.run import run_rapid_assessment

    folder = tmp_path_factory.mktemp("synchronous")
    return run_rapid_assessment(store, folder, cluster="synchronous", **RECIPE), folder
