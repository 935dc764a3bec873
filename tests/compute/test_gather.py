"""What is computed on a cluster comes to the client; what is not wanted any more ends."""

from __future__ import annotations

import _thread
import threading
import time

import dask
import dask.array as da
import numpy as np
import pytest

import pangeo_ces as ces
from pangeo_ces.compute import computed
from pangeo_ces.compute.connection import active_client

BLOCKS = 600


def blocks(*fails: int) -> da.Array:
    # Within, so that workers need not import this module.
    def slowly(block):
        time.sleep(0.05)
        if block[0] in fails:
            raise ValueError(f"block {block[0]}")
        return block + 1

    return da.arange(BLOCKS, chunks=1).map_blocks(slowly, dtype=int, meta=np.empty(0, int))


def ended(client) -> bool:
    """Whether the cluster forgets the work, which would take half a minute, but what still runs."""
    end = time.monotonic() + 10
    while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) > 1:
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def client():
    with ces.connect("local", workers=1) as connection:
        yield connection.client


@pytest.mark.parametrize("progress", [False, True])
def test_an_error_ends_the_work(client, progress):
    """The exception is held here, as a notebook holds it."""
    with pytest.raises(ValueError, match="block 3") as error:
        computed(blocks(3), progress=progress)
    assert ended(client)
    assert error.traceback
    np.testing.assert_array_equal(computed(blocks()[:9])[0], np.arange(1, 10))


@pytest.mark.parametrize("progress", [False, True])
def test_ctrl_c_ends_the_work(client, progress):
    threading.Timer(1.0, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt) as error:
        computed(blocks(), progress=progress)
    assert ended(client)
    assert error.traceback
    np.testing.assert_array_equal(computed(blocks()[:9])[0], np.arange(1, 10))


def test_nothing_lazy_is_handed_back(client):
    assert computed() == ()
    values = np.arange(3)
    assert computed(1, {"a": values}) == (1, {"a": values})


def test_the_engine_that_was_chosen_last_computes(client):
    ran_on = dask.delayed(lambda: threading.current_thread().name)
    assert active_client() is client
    with ces.connect("synchronous"):
        assert active_client() is None
        assert computed(ran_on()) == (threading.current_thread().name,)
        with ces.connect() as connection:
            assert connection.name == "synchronous"
    assert active_client() is client
    assert "Dask" in computed(ran_on())[0]
