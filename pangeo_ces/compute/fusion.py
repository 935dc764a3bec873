"""One task for all that is made of a shard.

Dask fuses chains, but a block that several kernels use stays a task of its own: it then lives until
the last of them has run, and in which order they run is a guess.  On a graph of a rapid assessment
with its pictures that guess was to filter every record before measuring the first.  Here whatever
needs nothing but one shard, or shards at the same place of a few arrays, becomes one task; large
blocks begin and end inside it, and only small results leave it.
"""

from __future__ import annotations

import operator
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from dask._task_spec import DataNode, GraphNode, Task, TaskRef
from dask.array.optimization import optimize as optimize_arrays
from dask.core import flatten, toposort
from dask.tokenize import tokenize
from dask.typing import Key

_PREFIX = "shard-"
Graph = Mapping[Key, GraphNode]

#: Shards that are brought together in one task: a record, and what it is compared with.
_MOST_ROOTS = 16


def optimize(graph: Any, keys: Any, **kwargs: Any) -> Any:
    """Dask's optimisation of arrays, then :func:`fuse_shards`."""
    graph = optimize_arrays(graph, keys, **kwargs)
    # With optimization.fuse.active off nothing is to be fused, and layers come back.
    return fuse_shards(graph, list(flatten([keys]))) if isinstance(graph, dict) else graph


def fuse_shards(graph: Graph, keys: Sequence[Key]) -> dict[Key, GraphNode]:
    """A graph with the same results in fewer tasks.

    Parameters
    ----------
    graph
        Tasks by their keys.
    keys
        Of the results that are wanted.

    Returns
    -------
    dict
        Every group of tasks is one; results that others need are picked out of it by their keys.
    """
    fused, wanted = dict(graph), set(keys)
    users: defaultdict[Key, set[Key]] = defaultdict(set)
    for key, task in graph.items():
        for needed in task.dependencies:
            users[needed].add(key)
    for group in _groups(graph):
        if len(group) == 1:
            continue
        inside = set(group)
        results = [key for key in group if key in wanted or not users[key] <= inside]
        for key in group:
            del fused[key]
        tasks = [graph[key] for key in group]
        if len(results) == 1:
            fused[results[0]] = _task(results[0], tasks, results)
            continue
        # Shards of an array have one name, as Dask's scheduler holds back only what belongs to a
        # large group.  Other results are another task: a scheduler may know the first one still.
        array = group[0][0] if isinstance(group[0], tuple) else group[0]
        name = (f"{_PREFIX}{tokenize(array)}", *_place(group[0]), tokenize(*map(str, results)))
        fused[name] = _task(name, tasks, results)
        for number, key in enumerate(results):
            fused[key] = Task(key, operator.getitem, TaskRef(name), number)
    return fused


def priority(key: Key) -> float:
    """Of a task for Dask's scheduler: taking results apart goes before more shards.

    Shards go in the order of their places, so that chunks of a product are complete one by one.
    """
    name = key[0] if isinstance(key, tuple) else key
    if not str(name).startswith(_PREFIX):
        return 1.0
    place = [n for n in _place(key)[:3] if isinstance(n, int)]
    return -sum(n * 1e-5**axis for axis, n in enumerate(place))


def _groups(graph: Graph) -> Iterator[list[Key]]:
    """Keys that become one task, in an order in which they can run.

    A group holds all that its members need but literal values, so that no path leads out of it and
    back: whatever is joined, the graph stays one without circles.
    """
    member: dict[Key, list[Key]] = {}
    roots: Counter[int] = Counter()
    # Not literal values, and not what a cluster has already: that is in no graph, or as itself.
    made = {k: t.dependencies for k, t in graph.items()
            if not isinstance(t, DataNode) and k not in t.dependencies}  # fmt: skip
    needs = {key: dependencies & made.keys() for key, dependencies in made.items()}
    for key in toposort(needs, dependencies=needs):
        if not member.keys() >= needs[key]:
            continue
        groups = list({id(member[k]): member[k] for k in needs[key]}.values())
        if not groups:
            group: list[Key] = []
            roots[id(group)] = 1
        elif len(groups) == 1:
            group = groups[0]
        elif (
            len({_place(one[0]) for one in groups}) == 1
            and _place(groups[0][0])
            and sum(roots[id(one)] for one in groups) <= _MOST_ROOTS
        ):
            group = groups[0]
            for other in groups[1:]:
                group.extend(other)
                roots[id(group)] += roots.pop(id(other))
                member.update(dict.fromkeys(other, group))
        else:
            continue
        group.append(key)
        member[key] = group
    yield from {id(group): group for group in member.values()}.values()


def _place(key: Key) -> tuple[Key, ...]:
    """Numbers of a block along the dimensions of its array."""
    return key[1:] if isinstance(key, tuple) else ()


def _task(key: Key, tasks: list[GraphNode], results: list[Key]) -> Task:
    inside = {task.key for task in tasks}
    outside = sorted({k for task in tasks for k in task.dependencies} - inside, key=str)
    return Task(key, _run, tasks, results, outside, *map(TaskRef, outside))


def _run(tasks: list[GraphNode], results: list[Key], outside: list[Key], *given: Any) -> Any:
    """Run tasks one after the other, forgetting at once what none that follows needs."""
    values = dict(zip(outside, given, strict=True))
    left = Counter(results)
    for task in tasks:
        left.update(task.dependencies)
    for task in tasks:
        values[task.key] = task(values)
        for needed in task.dependencies:
            left[needed] -= 1
            if not left[needed]:
                del values[needed]
    made = tuple(_owned(values[key]) for key in results)
    return made if len(made) > 1 else made[0]


def _owned(value: Any) -> Any:
    """A small part of a large block as an array of its own, else it keeps all of the block."""
    part = isinstance(value, np.ndarray) and isinstance(value.base, np.ndarray)
    return value.copy() if part and value.base.nbytes > 2 * value.nbytes else value
