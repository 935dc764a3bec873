"""Where the tests find real data, and what they do without it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import ADMIN, environment, seaweed

# Commands that tests start compute in their own process, unless they name a cluster.
os.environ.setdefault("DASK_CES__CLUSTER", "threads")

DATA = Path(os.environ.get("CES_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


#: Folders whose tests share one cluster, and so a process; they come first, since they wait most.
CLUSTERS = ("tests/kubernetes/", "tests/slurm/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(CLUSTERS))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One process more than there are cores: many tests wait for servers."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file stays in one process, and so do the files of one cluster."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = [folder for folder in CLUSTERS if nodeid.startswith(folder)]
            return shared[0] if shared else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """``data("01_strong_motion/…")``: a path of the reference data, or a skip with the reason."""

    def find(relative: str) -> Path:
        path = DATA / relative
        if not path.exists():
            pytest.skip(f"reference data not here: {path} (set CES_TEST_DATA)")
        return path

    return find


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 server that checks signatures: SeaweedFS; its environment variables."""
    server, endpoint = seaweed(tmp_path_factory.mktemp("s3"), [ADMIN])
    try:
        server.start()
        yield environment(endpoint)
    finally:
        server.kill()  # its data are temporary
