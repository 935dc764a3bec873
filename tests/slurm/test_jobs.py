"""Workers that are SLURM jobs: the right results, and no job lost or left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import dask
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces.compute.jobqueue import walltime_seconds
from pangeo_ces.errors import ClusterError, ConfigError
from pangeo_ces.workflow.rapid_assessment import rapid_assessment

from .conftest import RECIPE

pytestmark = pytest.mark.service


def _made_here():
    def wait_a_little(number):
        time.sleep(0.2)
        return number

    return wait_a_little


#: Goes to the workers by value: they do not know this module.
wait_a_little = _made_here()


def test_recipe_and_conversion_equal_those_of_one_thread(slurm, store, expected, tmp_path):
    start = time.monotonic()
    with ces.connect("slurm", workers=2) as connection:
        assert connection.client.submit(wait_a_little, 7).result(60) == 7
        print(f"connect to first result: {time.monotonic() - start:.1f} s")
        assert connection.dashboard_link.startswith("http://127.0.0.1:")
        assert len(slurm.jobs("ces-worker")) == 2
        found = rapid_assessment(ces.open_store(store), **RECIPE).product.compute()
        sample = Path(ces.samples.path("german_events"))
        ces.convert(sample / "observed", tmp_path / "converted", event=sample / "events.xml",
                    stations=sample / "stations.xml")  # fmt: skip
    assert slurm.is_empty()
    xr.testing.assert_equal(found, expected[0].product)
    there = ces.open_store(tmp_path / "converted")["windows/main/observed"]
    here = ces.open_store(store)["windows/main/observed"]
    xr.testing.assert_identical(there.load(), here.load())


@pytest.mark.parametrize("processes", [1, 2])
def test_a_cancelled_job_comes_again(slurm, processes):
    args = {"ces.clusters.slurm.args": dict(
        dask.config.get("ces.clusters.slurm.args"), cores=processes, processes=processes
    )}  # fmt: skip
    with dask.config.set(args), ces.connect("slurm", workers=2 * processes) as connection:
        futures = connection.client.map(wait_a_little, range(60 * processes))
        assert slurm.wait(lambda: any(future.done() for future in futures), 60)
        first = slurm.jobs("ces-worker")
        slurm.run("scancel", first[0])
        assert slurm.wait(
            lambda: len(set(slurm.jobs("ces-worker", "RUNNING,PENDING")) - {first[0]}) == 2
        )
        assert connection.client.gather(futures) == list(range(60 * processes))


def test_workers_come_and_go_with_the_work(slurm):
    with ces.connect("slurm", workers=(0, 3)) as connection:
        assert slurm.jobs() == []
        futures = connection.client.map(wait_a_little, range(60))
        assert slurm.wait(lambda: len(slurm.jobs("ces-worker")) > 1, 30)
        assert sum(connection.client.gather(futures)) == sum(range(60))
        del futures
        assert slurm.is_empty(30)
        assert connection.client.submit(wait_a_little, 7).result(60) == 7  # and again


@pytest.mark.parametrize("args, reason", [
    ({"python": "/nowhere/python"}, "/nowhere/python: No such file"),
    ({"job_extra_directives": ["--mem=900G"]}, "Requested node configuration is not available"),
])  # fmt: skip
def test_jobs_without_workers_are_one_clear_error(slurm, args, reason):
    args = dict(dask.config.get("ces.clusters.slurm.args"), **args)
    with (
        dask.config.set({"ces.clusters.slurm.args": args}),
        pytest.raises(ClusterError, match=reason) as caught,
        ces.connect("slurm", workers=2) as connection,
    ):
        connection.client.submit(wait_a_little, 7).result()
    assert str(caught.value).endswith("then run this again")


def test_adaptive_with_several_processes_is_refused(slurm):
    args = dict(dask.config.get("ces.clusters.slurm.args"), cores=4, processes=4)
    with (
        dask.config.set({"ces.clusters.slurm.args": args}),
        pytest.raises(ConfigError, match="set processes: 1"),
    ):
        ces.connect("slurm", workers=(0, 4))


def test_job_script(slurm):
    """The lifetime is shorter than the walltime; other words of the site are there."""
    with ces.connect("slurm", workers=(0, 1)) as connection:
        script = connection.cluster.job_script()
    assert "--lifetime 2940s --lifetime-stagger 360s" in script
    assert '. "$CES_SITE/site.sh"' in script
    assert "#SBATCH -t 01:00:00" in script


@pytest.mark.parametrize("text, queue, seconds", [
    ("30", "slurm", 1800), ("10:30", "slurm", 630), ("1-00", "slurm", 86400),
    ("2-03:04:05", "slurm", 183845), ("90", "pbs", 90), ("01:30:00", "sge", 5400),
    ("01:30", "lsf", 5400), ("2", "oar", 7200),
])  # fmt: skip
def test_walltimes(text, queue, seconds):
    assert walltime_seconds(text, queue) == seconds


def test_a_walltime_of_words():
    with pytest.raises(ces.errors.ParameterError, match="write it as 01:00:00"):
        walltime_seconds("one hour")


@pytest.mark.parametrize("queue, program", [
    ("pbs", "#PBS -l walltime=01:00:00"), ("lsf", "#BSUB -W 01:00"), ("sge", "#$ -N ces-worker"),
    ("oar", "#OAR -n ces-worker"), ("htcondor", "MY.DaskWorkerName"),
])  # fmt: skip
def test_scripts_for_other_queues(queue, program, slurm):
    """Only what dask-jobqueue would submit: there are no such queues here."""
    args = dict(dask.config.get(f"ces.clusters.{queue}.args"),
                scheduler_options={"dashboard_address": "127.0.0.1:0"}, interface="lo")  # fmt: skip
    with (
        dask.config.set(
            {f"ces.clusters.{queue}.args": args, f"ces.clusters.{queue}.workers": None}
        ),
        ces.connect(queue) as connection,
    ):
        assert program in connection.cluster.job_script()


@pytest.mark.parametrize("number, status", [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9),
])  # fmt: skip
def test_no_job_outlives_the_driver(slurm, store, tmp_path, number, status):
    """Also those that are pending: three run on the three nodes, one waits."""
    command = [sys.executable, "-m", "pangeo_ces", "run", "rapid-assessment", "--input", store,
               "--output", "out", "--cluster", "slurm", "--workers", "4"]  # fmt: skip
    env = slurm.env | {"DASK_CES__CLUSTERS__SLURM__ARGS__CORES": "2"}  # a node
    driver = subprocess.Popen(command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert slurm.wait(lambda: len(slurm.jobs("ces-worker")) == 4, 60), driver.poll()
        assert slurm.wait(lambda: len(slurm.jobs("ces-worker", "RUNNING")) == 3)
        assert slurm.jobs("ces-worker", "PENDING")
        driver.send_signal(number)
        _, told = driver.communicate(timeout=30)
        assert driver.returncode == status, told
        assert "Traceback" not in told
        assert slurm.is_empty(15), slurm.run("squeue").stdout
    finally:
        driver.kill()
        driver.wait()


def test_check(slurm, tmp_path):
    check = (sys.executable, "-m", "pangeo_ces", "cluster", "check", "slurm")
    good = slurm.run(*check)
    assert (good.returncode, good.stderr) == (0, ""), good
    programs = tmp_path / "bin"  # all but sbatch
    programs.mkdir()
    for name in ("squeue", "scancel"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    lacks = slurm.run(*check, PATH=str(programs))
    assert lacks.returncode == 1
    assert "no program sbatch: run this on a login node" in lacks.stdout + lacks.stderr
