"""What the configuration says of a cluster."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from .. import config
from ..errors import ConfigError

#: A fixed number of workers, or the least and the most of them.
Workers = int | tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A cluster under ``ces.clusters``: a scheduler of this process, an address, or a callable.

    Parameters
    ----------
    name
        Its key.
    scheduler
        ``threads``, ``processes`` or ``synchronous``.
    address
        Of a scheduler that runs already, such as ``tcp://10.0.0.1:8786``.
    module, callable
        What makes the cluster, ``class`` in the configuration.
    args
        Its keyword arguments.
    workers
        How many to ask for.
    extra
        The extra of this package that brings the module.
    """

    name: str
    scheduler: str = ""
    address: str = ""
    module: str = ""
    callable: str = ""
    args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    workers: Workers | None = None
    extra: str = ""

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        return self.scheduler or self.address or f"{self.module}.{self.callable}"

    def factory(self) -> Callable[..., Any]:
        """What makes the cluster.

        Raises
        ------
        ConfigError
            When its package is not installed, or holds no such thing.
        """
        try:
            found = getattr(importlib.import_module(self.module), self.callable)
        except ImportError as error:
            raise self.not_installed(error) from error
        except AttributeError:
            raise ConfigError(
                f"cluster {self.name!r}: {self.module} has no {self.callable}; correct ces.clusters"
            ) from None
        return found

    def not_installed(self, error: ImportError) -> ConfigError:
        """What to do about a package that is not there."""
        extra = f"pip install 'pangeo_ces[{self.extra}]'" if self.extra else "install it"
        return ConfigError(f"cluster {self.name!r}: {error}; {extra}")


def cluster_names() -> list[str]:
    """All clusters of the configuration.

    >>> "synchronous" in cluster_names()
    True
    """
    return sorted(config.get("clusters"))


def find(name: str) -> Entry:
    """The entry of a name, or of the address of a scheduler.

    Raises
    ------
    ConfigError
        When there is none, or it says too much, too little or something unknown.
    """
    if "://" in name:
        return Entry(name, address=name)
    clusters = config.get("clusters")
    if name not in clusters:
        near = difflib.get_close_matches(name, clusters, 1)
        raise ConfigError(
            f"no cluster {name!r}: use {near[0]!r}" if near else
            f"no cluster {name!r}: use one of {', '.join(cluster_names())}, the tcp:// address of "
            "a scheduler, or describe it under ces.clusters in ~/.config/dask/ces.yaml"
        )  # fmt: skip
    return _entry(name, clusters[name])


def _entry(name: str, given: Any) -> Entry:
    where = f"cluster {name!r} of the configuration"
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where} is no mapping: write {{scheduler: threads}} or the like")
    known = {"class" if f.name == "callable" else f.name for f in dataclasses.fields(Entry)}
    unknown = sorted(set(given) - (known - {"name"}))
    if unknown:
        raise ConfigError(
            f"{where}: no key {', '.join(unknown)}; the known ones are "
            f"{', '.join(sorted(known - {'name'}))}"
        )
    kinds = [key for key in ("scheduler", "address", "module") if given.get(key)]
    if len(kinds) != 1 or ("module" in kinds) != bool(given.get("class")):
        raise ConfigError(
            f"{where} needs either a scheduler, or an address, or a module and a class: give one"
        )
    if given.get("scheduler") not in (None, "threads", "processes", "synchronous"):
        raise ConfigError(
            f"{where}: no scheduler {given['scheduler']!r}; use threads, processes or synchronous"
        )
    values = {key: value for key, value in given.items() if key not in ("class", "workers")}
    return Entry(
        name,
        callable=given.get("class", ""),
        workers=valid_workers(given.get("workers"), where),
        **(values | {"args": dict(given.get("args") or {})}),
    )


def valid_workers(workers: Any, where: str = "workers") -> Workers | None:
    """A number, or the least and the most, as they may be written.

    >>> valid_workers("0:40"), valid_workers([0, 40]), valid_workers("4"), valid_workers(None)
    ((0, 40), (0, 40), 4, None)
    """
    if workers is None:
        return None
    try:
        if isinstance(workers, str):
            workers = [int(part) for part in workers.split(":")]
            workers = workers[0] if len(workers) == 1 else workers
        if isinstance(workers, int) and not isinstance(workers, bool):
            if workers < 1:
                raise ValueError
            return workers
        least, most = workers
        if not (isinstance(least, int) and isinstance(most, int) and 0 <= least <= most and most):
            raise ValueError
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where}: {workers!r} is no number of workers; give one, as 4, or the least and the "
            "most, as 0:40"
        ) from None
    return least, most
