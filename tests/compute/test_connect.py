"""Clusters as data: what the configuration may say, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import dask
import pytest
import xarray as xr
from click.testing import CliRunner
from clusters import kept

import pangeo_ces as ces
from pangeo_ces.cli import main
from pangeo_ces.compute import computed, find, mapped, missing
from pangeo_ces.compute.entry import valid_workers
from pangeo_ces.errors import ClusterError, ConfigError


@pytest.fixture(scope="module")
def peaks():
    ds = ces.testing.synthetic_windows(quantity="acceleration", stations=6)
    chunked = ds.chunk({"station": 2})
    return lambda: ces.peak_motion(chunked, periods=[0.5, 1.0])


@pytest.fixture(scope="module")
def alone(peaks):
    with ces.connect("synchronous"):
        return peaks().compute()


@pytest.fixture
def clusters():
    """``clusters(name={...})``: the clusters of the configuration."""
    with contextlib.ExitStack() as stack:
        yield lambda **given: stack.enter_context(dask.config.set({"ces.clusters": given}))


def children() -> set[int]:
    import psutil

    return {child.pid for child in psutil.Process().children(recursive=True)
            if child.status() != psutil.STATUS_ZOMBIE}  # fmt: skip


@pytest.mark.parametrize("name", ["threads", "processes", "local"])
def test_every_engine_gives_the_same_bits(name, peaks, alone):
    before = children()
    with ces.connect(name, workers=2):
        again = peaks().compute()
    xr.testing.assert_identical(alone, again)
    for _ in range(100):
        if children() <= before | resource_trackers():
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"processes are left: {children() - before}")


def resource_trackers() -> set[int]:
    """multiprocessing keeps helpers of its own until the process ends."""
    import psutil

    helpers = set()
    for child in psutil.Process().children(recursive=True):
        try:
            line = " ".join(child.cmdline())
        except psutil.NoSuchProcess:
            continue
        if "resource_tracker" in line or "forkserver" in line:
            helpers.add(child.pid)
    return helpers


def test_without_a_name_what_is_connected_is_used_and_kept(peaks, alone):
    with ces.connect("local", workers=1) as outer:
        with ces.connect() as inner:
            assert inner.client is outer.client
            xr.testing.assert_identical(alone, peaks().compute())
        assert outer.client.status == "running"
        assert len(outer.client.scheduler_info(n_workers=-1)["workers"]) == 1
        assert outer.dashboard_link.startswith("http://127.0.0.1:")
        assert outer.dashboard_link in repr(outer)
    with ces.connect("synchronous"), ces.connect() as inner:
        assert inner.name == "synchronous"
    assert dask.config.get("scheduler", None) is None


def test_number_of_workers_can_be_changed():
    with ces.connect("local", workers=1) as connection:
        connection.scale(2)
        connection.client.wait_for_workers(2, timeout=30)
        connection.scale((0, 1))
        deadline = time.monotonic() + 30
        while connection.client.scheduler_info(n_workers=-1)["workers"]:
            assert time.monotonic() < deadline, "an idle adaptive cluster keeps its workers"
            time.sleep(0.1)
        assert connection.client.submit(sum, [1, 2]).result(timeout=60) == 3


def test_threads_are_as_many_as_asked_for():
    with ces.connect("threads", workers=3):
        assert dask.config.get("num_workers") == 3


def test_a_worker_is_never_paused_nor_profiled():
    """Programs alone may be four fifths of a small worker, and they do not go away by waiting."""

    def settings(dask_worker):
        profiled = "profile" in dask_worker.periodic_callbacks
        return dask_worker.memory_manager.memory_pause_fraction, profiled

    with ces.connect("local", workers=1) as connection:
        assert list(connection.client.run(settings).values()) == [(False, False)]
    # As a file of the user's own does: beside what is there.
    mine = {"local": {"args": {"config": {"distributed.worker.profile.enabled": True}}}}
    mine = dask.config.merge(dask.config.get("ces.clusters"), mine)
    with dask.config.set({"ces.clusters": mine}), ces.connect("local", workers=1) as connection:
        assert list(connection.client.run(settings).values()) == [(False, True)]


def test_the_address_of_a_scheduler_is_a_cluster(peaks, alone):
    with ces.connect("local", workers=1) as started:
        address = started.client.scheduler.address
        code = (
            "import pangeo_ces as ces\n"
            f"with ces.connect({address!r}) as connection:\n"
            "    print(connection.client.submit(pow, 2, 5).result())\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.strip() == "32", done.stderr
        assert missing(address) == []
        # It was somebody else's: it is still there.
        xr.testing.assert_identical(alone, peaks().compute())
    [told] = missing(address)
    assert "ces cluster start" in told


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr("pangeo_ces.compute.connection._ANSWERS_WITHIN", 1)
    with pytest.raises(ClusterError, match="did not start.*ces cluster check"):
        ces.connect("tcp://127.0.0.1:9")


@pytest.mark.parametrize(
    "entry, told",
    [
        ("threads", "no mapping"),
        ({"scheduler": "thread"}, "use threads, processes or synchronous"),
        ({}, "either a scheduler"),
        ({"scheduler": "threads", "address": "tcp://h:1"}, "either a scheduler"),
        ({"module": "dask.distributed"}, "either a scheduler"),
        ({"scheduler": "threads", "wrokers": 2}, "no key wrokers; the known ones are address"),
        ({"scheduler": "threads", "workers": 0}, "give one, as 4"),
        ({"scheduler": "threads", "workers": [3, 1]}, "as 0:40"),
        ({"module": "dask.distributed", "class": "LocalClutser"}, "has no LocalClutser"),
        ({"module": "dask_nothing", "class": "C", "extra": "hpc"}, r"pangeo_ces\[hpc\]"),
        ({"module": "pangeo_ces.compute.entry", "class": "find", "args": {"nmae": 1}},
         "correct its args"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_entry_is_said(entry, told, clusters):
    clusters(mine=entry)
    with pytest.raises(ConfigError, match=told):
        ces.connect("mine")


def test_a_near_name_is_proposed():
    with pytest.raises(ConfigError, match="use 'synchronous'"):
        ces.connect("synchronus")
    with pytest.raises(ConfigError, match="use one of.*local.*ces.yaml"):
        ces.connect("zzz")


@pytest.mark.parametrize("given", ["0", "a", "3:1", "1:2:3", -1, True, (0, 0), [1], 1.5])
def test_misuse_of_workers(given):
    with pytest.raises(ConfigError, match="number of workers"):
        valid_workers(given)


def test_workers_where_they_mean_nothing():
    for name, workers in (("synchronous", 2), ("threads", (0, 2)), ("tcp://127.0.0.1:9", 2)):
        with pytest.raises(ConfigError):
            ces.connect(name, workers=workers)


def test_entry_with_workers_of_its_own(clusters):
    clusters(two={"scheduler": "threads", "workers": 2})
    assert find("two").workers == 2
    with ces.connect("two"):
        assert dask.config.get("num_workers") == 2


def test_bar_on_a_cluster_gives_what_no_bar_gives(peaks, alone, capsys):
    with ces.connect("local", workers=1) as connection:
        both, number = computed({"a": [peaks()]}, 7, progress=True)
        assert f"dashboard: {connection.dashboard_link}" in capsys.readouterr().err
    xr.testing.assert_identical(alone, both["a"][0])
    assert number == 7


@pytest.mark.parametrize("cluster", ["threads", "local"])
def test_many_calls_are_one_graph(cluster):
    """Whatever a function gives comes back as it was, in the order of the arguments."""
    calls = [([number, 25],) for number in range(50)]
    with ces.connect(cluster, workers=2):
        assert mapped(sorted, calls) == [sorted(*call) for call in calls]
        assert mapped(sorted, []) == []
        with pytest.raises(ZeroDivisionError):
            mapped(divmod, [(1, 1), (1, 0)])


def test_arguments_that_workers_refuse_are_one_clear_error(clusters):
    clusters(mine={"module": "dask.distributed", "class": "LocalCluster",
                   "args": {"n_workers": 1, "wrong": 1}})  # fmt: skip
    with pytest.raises(ClusterError, match="did not start"):
        ces.connect("mine")


def test_a_script_that_workers_would_run_again_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import pangeo_ces as ces\nces.connect('local', workers=1)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert 'below `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]


def test_a_task_that_needs_too_much_memory_is_one_clear_error(clusters):
    def greedy() -> int:
        held = []
        for _ in range(100):
            held.append(bytearray(20_000_000))
            time.sleep(0.02)
        return len(held)

    args = {"n_workers": 1, "memory_limit": "400MB"}
    clusters(small={"module": "dask.distributed", "class": "LocalCluster", "args": args})
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(ClusterError, match="too little memory.*ces.clusters"),
        ces.connect("small"),
    ):
        dask.delayed(greedy)().compute()


def test_a_worker_that_is_killed_is_replaced(peaks, alone):
    def slow(number: int) -> int:
        time.sleep(0.2)
        return number

    with ces.connect("local", workers=2) as connection:
        lazy = [dask.delayed(slow)(number) for number in range(12)]
        futures = connection.client.compute(lazy)
        while not any(future.done() for future in futures):
            time.sleep(0.05)
        os.kill(next(iter(connection.client.run(os.getpid).values())), signal.SIGKILL)
        assert connection.client.gather(futures) == list(range(12))
        xr.testing.assert_identical(alone, peaks().compute())


def test_a_lost_scheduler_is_one_clear_error(tmp_path):
    def interrupted(address: str, server: subprocess.Popen) -> None:
        with ces.connect(address) as connection:
            values = [dask.delayed(time.sleep)(0.01), dask.delayed(time.sleep)(60)]
            threading.Timer(1.0, server.send_signal, [signal.SIGTERM]).start()
            assert connection.client.status == "running"
            computed(*values)

    with kept(tmp_path) as (address, server):
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
            pytest.raises(ClusterError, match=r"(?s)was lost.*run this again"),
        ):
            interrupted(address, server)
        assert server.wait(30) == 128 + signal.SIGTERM


def test_command_list_and_check(clusters):
    clusters(mine={"module": "no_such_package", "class": "Cluster", "extra": "jobqueue"})
    runner = CliRunner()
    listed = json.loads(runner.invoke(main, ["cluster", "list", "--json"]).stdout)
    assert {row["name"] for row in listed} == {"mine"}
    told = runner.invoke(main, ["cluster", "check", "mine"])
    assert told.exit_code == 1
    assert "missing: cluster 'mine': No module named 'no_such_package'" in told.stdout
    assert "pip install 'pangeo_ces[jobqueue]'" in told.stdout
    assert "mine" in runner.invoke(main, ["cluster", "list"]).stdout


def test_command_check_of_what_is_there():
    done = CliRunner().invoke(main, ["cluster", "check", "local"])
    assert done.exit_code == 0
    assert "nothing is missing" in done.stdout


def test_command_start_of_what_lives_in_a_process():
    done = CliRunner().invoke(main, ["cluster", "start", "threads"])
    assert done.exit_code == 1
    assert "--cluster threads" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_with_all_its_workers(number, tmp_path):
    """The driver is asked to end in the middle: neither workers nor a half-written product stay."""
    code = (
        "import sys, time, dask, pangeo_ces as ces\n"
        "from pangeo_ces.cli import _orderly_end\n"
        "if __name__ == '__main__':\n"
        "    with _orderly_end(), ces.connect('local', workers=2) as connection:\n"
        "        print(*connection.client.run(__import__('os').getpid).values(), flush=True)\n"
        "        dask.delayed(time.sleep)(900).compute()\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    workers = [int(pid) for pid in driver.stdout.readline().split()]
    assert len(workers) == 2
    time.sleep(0.5)
    driver.send_signal(number)
    assert driver.wait(120) != 0
    deadline = time.monotonic() + 20
    while alive := [pid for pid in workers if _alive(pid)]:
        assert time.monotonic() < deadline, f"workers are left: {alive}"
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
