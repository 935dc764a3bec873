"""One task a shard: the same results, and no large block outside of it."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask._task_spec import DataNode, Task, TaskRef
from dask.base import collections_to_expr, unpack_collections
from dask.callbacks import Callback
from dask.core import get_dependencies, toposort
from hypothesis import given
from hypothesis import strategies as st

import pangeo_ces as ces
from pangeo_ces.compute import computed
from pangeo_ces.compute.fusion import fuse_shards, optimize, priority
from pangeo_ces.workflow import pictures
from pangeo_ces.workflow.run import together

EVENTS, STATIONS, IN_A_SHARD, SAMPLES = 8, 20, 5, 60_000
SHARD = IN_A_SHARD * 3 * SAMPLES * 4


def weighted(seed, *values):
    """Another number for another order of arguments."""
    return sum((seed + n) * value for n, value in enumerate(values, 2)) % 1_000_003


@st.composite
def graphs(draw):
    """Tasks over blocks, literal values among them, each of what was before it."""
    graph = {}
    for number in range(draw(st.integers(1, 25))):
        key = (f"array{number}", draw(st.integers(0, 2)))
        if draw(st.integers(0, 5)) == 0:
            graph[key] = DataNode(key, number)
            continue
        needed = draw(st.lists(st.sampled_from(sorted(graph)), max_size=3)) if graph else []
        graph[key] = Task(key, weighted, number, *map(TaskRef, needed))
    return graph, draw(st.lists(st.sampled_from(sorted(graph)), min_size=1, unique=True))


@given(graphs())
def test_any_graph_gives_the_same_values(drawn):
    graph, keys = drawn
    fused = fuse_shards(graph, keys)
    toposort(fused)  # raises where there is a circle
    assert dask.get(fused, keys) == dask.get(graph, keys)
    assert all(d in fused for task in fused.values() for d in task.dependencies)


def test_what_needs_only_one_shard_is_one_task():
    root, filtered, peak, small = ("read", 0), ("filter", 0), ("peak", 0), ("small", 0)
    graph = {
        root: Task(root, weighted, 1),
        filtered: Task(filtered, weighted, 2, TaskRef(root)),
        peak: Task(peak, weighted, 3, TaskRef(filtered)),
        small: Task(small, weighted, 4, TaskRef(filtered)),
        "all": Task("all", weighted, 5, TaskRef(peak), TaskRef(small), TaskRef(("peak", 1))),
        ("peak", 1): Task(("peak", 1), weighted, 6),
    }
    fused = fuse_shards(graph, ["all"])
    (shard,) = [key for key in fused if str(key[0]).startswith("shard-")]
    assert set(fused) == {shard, peak, small, "all", ("peak", 1)}
    assert shard[1:-1] == (0,)
    assert fused[peak].dependencies == fused[small].dependencies == {shard}
    assert priority(shard) < priority(peak) == priority("all")
    places = [("shard-a", 0, 1), ("shard-b", 0, 2), ("shard-c", 1, 0), ("shard-d", 10, 0)]
    assert sorted(set(places), key=priority, reverse=True) == places
    # A resumed run wants less of a shard, which a scheduler may know from the run before.
    assert shard not in fuse_shards(graph, ["all", filtered])
    # With one result there is nothing to take apart.
    assert set(fuse_shards({k: graph[k] for k in (root, filtered, peak)}, [peak])) == {peak}


def test_neighbours_are_not_joined():
    """Blocks that overlap would else become one task, the whole record."""
    x = da.ones(10, chunks=1).map_overlap(lambda b: b + 1, depth=1, boundary=0)
    graph = optimize(x.__dask_graph__(), x.__dask_keys__())
    most = max(len(get_dependencies(graph, key)) for key in graph)
    assert most <= 4
    assert dask.get(graph, [x.__dask_keys__()])[0] == pytest.approx(np.full((10, 1), 2.0))


def waves() -> xr.Dataset:
    ds = ces.testing.synthetic_windows(
        events=EVENTS, stations=STATIONS, samples=SAMPLES, sampling_rate=20.0, quantity="velocity"
    )
    random = da.random.default_rng(0).standard_normal(
        ds["velocity"].shape, dtype="float32", chunks=(1, IN_A_SHARD, 3, SAMPLES)
    )
    ds["velocity"] = ds["velocity"].copy(data=random)
    ds = ds.assign_attrs(sampling_interval="1/20")
    return ds.assign_coords(
        event_name=("event", [f"earthquake {n}" for n in range(EVENTS)]),
        epicentral_distance=(("event", "station"), np.full((EVENTS, STATIONS), 3e4)),
    )


def test_tasks_of_a_misfit_run_with_windows():
    """A shard is read, compared, and gives windows and each measure: not a task a variable."""

    def tasks(events: int) -> int:
        sides = {
            f"windows/main/{side}/20Hz": waves().isel(event=range(events))
            for side in ("observed", "synthetic/model")
        }
        made = ces.misfit(
            xr.DataTree.from_dict(sides), min_period=1.0, max_period=5.0,
            measures=["waveform", "cc_traveltime"],
        )  # fmt: skip
        nodes = [node.to_dataset(inherit=False) for node in made.product.subtree]
        with dask.config.set(array_optimize=optimize):
            lazy, _ = unpack_collections(nodes)
            return len(collections_to_expr(lazy).optimize().__dask_graph__())

    shards = STATIONS // IN_A_SHARD
    # As many events as are one chunk of the product, whose own tasks are the same for all.
    assert tasks(4) - tasks(2) == 2 * 4 * shards


def assessed():
    tree = xr.DataTree.from_dict({"windows/main/observed/20Hz": waves()})
    made = ces.rapid_assessment(tree, freqmin=0.1, freqmax=8.0, quantity="velocity")
    shown = pictures.of_events(made.waveforms, pictures.busiest(made.waveforms, 2))
    overlay = pictures.overlay(shown, pictures.nearest(made.waveforms, 2))
    return made.product, pictures.thumbnails(made.waveforms), overlay


class Largest(Callback):
    """Bytes of the largest result of a task."""

    bytes = 0

    def _posttask(self, key, result, graph, state, worker):
        parts = result if type(result) is tuple else (result,)
        size = sum(part.nbytes for part in parts if isinstance(part, np.ndarray))
        self.bytes = max(self.bytes, size)


def test_records_end_where_they_began():
    """A rapid assessment with pictures passes on products, and of records those it shows."""
    product, thumbnails, overlay = assessed()
    with dask.config.set(scheduler="synchronous"):
        with Largest() as fused:
            made = together(product, thumbnails, overlay)
        with Largest() as as_dask_does:
            alone = dask.compute(product["observed"].to_dataset(), thumbnails, overlay)
    # Two stations of two events, or all thumbnails; not one block of records.
    assert fused.bytes < SHARD <= as_dask_does.bytes
    xr.testing.assert_identical(made[0]["observed"].to_dataset(), alone[0])
    for one, other in zip([made[1], made[2][0]], [alone[1], alone[2][0]], strict=True):
        xr.testing.assert_identical(one["observed"], other["observed"])


def test_a_part_of_a_block_does_not_keep_the_block():
    def first(block):
        return block[:1]

    x = da.random.default_rng(0).random((100_000,), chunks=50_000)
    few, much = x.map_blocks(first, chunks=(1,)), x.map_blocks(np.sort)
    graph = optimize(dict(much.dask) | dict(few.dask), [few.__dask_keys__(), much.__dask_keys__()])
    for value in dask.get(graph, few.__dask_keys__()):
        assert value.base is None


def test_persisted_blocks_are_left_where_they_are():
    with ces.connect("local", workers=1):
        x = da.arange(12, chunks=4).persist()
        (total, high) = computed(x.sum(), x.max())
    assert (total, high) == (66, 11)
