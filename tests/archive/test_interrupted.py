"""Staging that is killed, runs out of space, or runs twice at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from centre import START, Proxy
from hypothesis import given
from hypothesis import strategies as st

from pangeo_ces.archive import journal as journals
from pangeo_ces.archive.archive import Archive, is_archive
from pangeo_ces.archive.fdsn import stage_fdsn
from pangeo_ces.archive.folder import Folder
from pangeo_ces.archive.journal import Journal, parse
from pangeo_ces.archive.sds import stage_sds
from pangeo_ces.archive.stage import Staging
from pangeo_ces.errors import StoreError

SCRIPT = Path(__file__).with_name("killed.py")
TWO_DAYS = {"starttime": START, "endtime": START + 2 * 86400}


def picture(url: str) -> dict[str, bytes]:
    """Everything an archive holds, but for the time at which it was made, and work in progress."""
    folder = Folder(url)
    folder.fs.invalidate_cache()
    found = {}
    for path in folder.fs.find(folder.root):
        content = folder.fs.cat_file(path)
        name = path.removeprefix(folder.root)
        if name.startswith("/partial/"):
            continue
        if name.startswith("/stages/"):
            head, _, rest = content.partition(b'"created": "')
            content = head + rest.partition(b'"')[2]
        found[name] = content
    return found


def kill(archive: str, url: str, due: Callable[[], bool], pause: float) -> bool:
    """Stage in a process that is killed when it is due; whether it was still at work."""
    process = subprocess.Popen(
        [sys.executable, SCRIPT, archive, url, str(pause)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    while process.poll() is None and not due():
        time.sleep(0.005)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert alive or process.returncode == 0, errors.decode()
    return alive


@pytest.mark.service
@pytest.mark.parametrize("where", ["local", "s3"])
def test_killed_at_random_moments(steady, tmp_path, where, request):
    base = str(tmp_path) if where == "local" else request.getfixturevalue("s3")
    with Proxy(steady.url, lambda number, path: None) as proxy:
        stage_fdsn(f"{base}/whole", proxy.url, **TWO_DAYS)
        whole, once = picture(f"{base}/whole"), len(proxy.requests)
        proxy.requests.clear()
        dice, hits = random.Random(3), 0

        def some_time(requests: int, seconds: float) -> Callable[[], bool]:
            """So long after so many further requests, whatever the machine's speed."""
            wanted, moment = len(proxy.requests) + requests, [0.0]

            def due() -> bool:
                if not moment[0] and len(proxy.requests) >= wanted:
                    moment[0] = time.monotonic() + seconds
                return bool(moment[0]) and time.monotonic() >= moment[0]

            return due

        while hits < 3:
            due = some_time(dice.randint(1, 4), dice.uniform(0, 0.1))
            if not kill(f"{base}/killed", proxy.url, due, 0.15):
                break
            hits += 1
        if (
            not is_archive(f"{base}/killed") or not Archive(f"{base}/killed").stages()
        ):  # a kill may come when all is done
            stage_fdsn(f"{base}/killed", proxy.url, **TWO_DAYS)
        asked = [r for r in proxy.requests if "dataselect" in r[0]]
    assert hits >= 2
    assert picture(f"{base}/killed") == whole
    # What was in flight at a kill, of three threads, may be asked for again: nothing else.
    assert len(proxy.requests) <= once + 6 * hits + 4
    assert asked


def test_resumed_run_does_not_ask_again(steady, tmp_path):
    class Enough(Exception):
        pass

    archive = str(tmp_path / "a")
    with Proxy(steady.url, lambda number, path: None) as proxy:
        add, left = Journal.add, [4]

        def some(self, row):
            add(self, row)
            if "file" in row:
                left[0] -= 1
                if left[0] <= 0:
                    raise Enough

        Journal.add = some
        try:
            with pytest.raises(Enough):
                stage_fdsn(archive, proxy.url, threads=1, **TWO_DAYS)
        finally:
            Journal.add = add
        (left_over,) = Path(archive).glob("partial/*/journal.json")
        kept = sum("file" in row for row in parse(left_over.read_bytes()))
        first = {path + body.decode() for path, body in proxy.requests}
        proxy.requests.clear()
        done = stage_fdsn(archive, proxy.url, threads=1, **TWO_DAYS)
        again = {path + body.decode() for path, body in proxy.requests}
    assert done.counts["new"] == 17
    assert not any("level=channel" in request for request in again)
    assert sum("dataselect" in request for request in first & again) <= 1
    assert len(done.asked) == 17 - kept < 17


test_resumed_run_does_not_ask_again = pytest.mark.service(test_resumed_run_does_not_ask_again)


def tree(folder: Path, count: int = 12, size: int = 2000) -> Path:
    for day in range(1, count + 1):
        path = folder / f"2020/XX/AAA/HHZ.D/XX.AAA.00.HHZ.D.2020.{day:03}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(day).randbytes(size))
    return folder


def test_killed_between_publication_and_tidying(tmp_path, monkeypatch):
    """What a finished run left is not taken for an interrupted one."""
    root = tree(tmp_path / "sds")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", Journal.close)
        stage_sds(tmp_path / "a", root)
    assert list((tmp_path / "a/partial").iterdir())
    changed = next(root.rglob("*.005"))
    changed.write_bytes(b"other bytes")
    done = stage_sds(tmp_path / "a", root)
    assert done.counts == {"new": 0, "updated": 1, "unchanged": 11, "removed": 0}
    assert not list((tmp_path / "a/partial").iterdir())


def test_bytes_lost_in_a_power_cut_are_had_again(tmp_path, monkeypatch):
    root = tree(tmp_path / "sds")
    with monkeypatch.context() as patch:
        patch.setattr(Staging, "publish", lambda self, **_: None)
        stage_sds(tmp_path / "a", root)
    for path in list((tmp_path / "a/objects").rglob("*"))[-3:]:
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")
    stage_sds(tmp_path / "a", root)
    stage_sds(tmp_path / "b", root)
    assert picture(str(tmp_path / "a")) == picture(str(tmp_path / "b"))


@given(rows=st.lists(st.dictionaries(st.sampled_from(["file", "absent", "memo"]), st.text())),
       cut=st.integers(0, 10_000), junk=st.binary(max_size=20))  # fmt: skip
def test_journal_torn_at_any_byte(tmp_path_factory, rows, cut, junk):
    folder = Folder(tmp_path_factory.mktemp("journal"))
    rows = [{**row, "key": f"{number}\n"} for number, row in enumerate(rows)]
    journal = Journal(folder, "partial/x")
    for row in rows:
        journal.add(row)
    journal.close()
    path = Path(folder.path("partial/x/journal.json"))
    content = path.read_bytes()
    cut = min(cut, len(content))
    whole = parse(content[:cut])
    assert whole == rows[: len(whole)]
    assert len(whole) >= content[:cut].count(b"\n") - 1
    path.write_bytes(content[:cut] + junk.replace(b"\n", b""))
    again = Journal(folder, "partial/x")
    again.add({"key": "next", "memo": 1})
    again.close()
    last = Journal(folder, "partial/x")
    assert last.rows["next"] == {"key": "next", "memo": 1}
    torn = content[:cut].rpartition(b"\n")[2]
    safe = whole if not torn or not junk else whole[:-1] if parse(torn) else whole
    assert all(last.rows[row["key"]] == row for row in safe)
    last.remove()


def test_disk_full(tmp_path):
    """On a disk of 600 kB, with files of 100 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        archive = disk / "archive"
        small = tree(tmp_path / "small", 3, 1000)
        stage_sds(archive, small)
        before = picture(str(archive))
        large = tree(tmp_path / "large", 12, 100_000)
        with pytest.raises(StoreError, match="no space is left.*same command again"):
            stage_sds(archive, large)
        now = picture(str(archive))
        assert before.items() <= now.items()
        assert Archive(archive).stages() == [1]
        subprocess.run(["mount", "-o", "remount,size=5m", disk], check=True)
        done = stage_sds(archive, large)
        assert done.counts["updated"] + done.counts["new"] == 12
        assert 0 < len(done.asked) < 12  # what had been got before was not read again
    finally:
        subprocess.run(["umount", disk], check=True)


def test_quota(tmp_path):
    root = tree(tmp_path / "sds", 10, 1000)
    with pytest.raises(StoreError, match="quota of 4500.*same command again"):
        stage_sds(tmp_path / "a", root, quota=4500)
    held = sum(p.stat().st_size for p in (tmp_path / "a/objects").rglob("*") if p.is_file())
    assert held <= 4500
    done = stage_sds(tmp_path / "a", root, quota=10_000)
    assert done.counts["new"] == 10
    assert len(done.asked) < 10
    stage_sds(tmp_path / "a", root, quota=10_000)  # nothing new, so nothing too much


def test_same_request_twice_at_once_is_refused(tmp_path, monkeypatch):
    root = tree(tmp_path / "sds")
    inside, leave = threading.Event(), threading.Event()
    publish = Staging.publish

    def wait(self, **options):
        inside.set()
        leave.wait(10)
        return publish(self, **options)

    monkeypatch.setattr(Staging, "publish", wait)
    first = threading.Thread(target=stage_sds, args=(tmp_path / "a", root))
    first.start()
    inside.wait(10)
    with pytest.raises(StoreError, match="at this moment: run it again"):
        stage_sds(tmp_path / "a", root)
    leave.set()
    first.join()
    assert stage_sds(tmp_path / "a", root).counts["unchanged"] == 12


@pytest.mark.service
@pytest.mark.parametrize("where", ["local", "s3", "memory", "webdav"])
def test_two_stagers_at_once_lose_nothing(tmp_path, where, request):
    url = {"local": str(tmp_path), "memory": f"memory://two-{os.getpid()}"}.get(where)
    url = f"{url or request.getfixturevalue(where)}/two"
    roots = [tree(tmp_path / "sds", 12)]
    for number in range(4):
        root = tmp_path / f"sds{number}"
        path = root / f"2020/XX/S{number}/HHZ.D/XX.S{number}..HHZ.D.2020.001"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % number)
        roots.append(root)
    barrier = threading.Barrier(len(roots))
    publish, done = Staging.publish, []

    def together(self, **options):
        barrier.wait(30)
        return publish(self, **options)

    def run(root):
        done.append(stage_sds(url, root))

    Staging.publish = together
    try:
        threads = [threading.Thread(target=run, args=(root,)) for root in roots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        Staging.publish = publish
    archive = Archive(url)
    assert sorted(d.stage for d in done) == archive.stages() == [1, 2, 3, 4, 5]
    assert len(archive.files(5)) == 16
    assert sum(archive.manifest(n)["counts"]["new"] for n in archive.stages()) == 16


def test_restart_forgets_what_was_left(tmp_path, monkeypatch):
    root = tree(tmp_path / "sds")
    with monkeypatch.context() as patch:
        patch.setattr(Staging, "publish", lambda self, **_: None)
        stage_sds(tmp_path / "a", root)
    assert len(stage_sds(tmp_path / "a", root, restart=True).asked) == 12


def test_journal_is_locked_across_processes(tmp_path):
    folder = Folder(tmp_path)
    journal = Journal(folder, "partial/x")
    code = (
        "import sys; from pangeo_ces.archive.folder import Folder; "
        "from pangeo_ces.archive.journal import Journal; Journal(Folder(sys.argv[1]), 'partial/x')"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    assert b"StoreError" in subprocess.run(run, capture_output=True).stderr
    journal.close()
    assert subprocess.run(run, capture_output=True).returncode == 0
    assert journals._FILE in os.listdir(tmp_path / "partial/x")


def test_time_of_a_stage_is_when_it_was_made(tmp_path):
    root = tree(tmp_path / "sds")
    before = time.time()
    stage_sds(tmp_path / "a", root)
    import datetime

    made = Archive(tmp_path / "a").manifest(1)["created"]
    assert before <= datetime.datetime.fromisoformat(made).timestamp() <= time.time()
