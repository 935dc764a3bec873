"""Staging from trees, globs, buckets and web servers; reading what was staged."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import obspy
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from obspy.clients.filesystem.sds import Client as SDS

import pangeo_ces as ces
from pangeo_ces.archive.archive import Archive, is_archive, split_version
from pangeo_ces.archive.files import public, stage_files, web_name
from pangeo_ces.archive.folder import Folder
from pangeo_ces.archive.history import checkout, diff, history, safe_name
from pangeo_ces.archive.sds import stage_sds
from pangeo_ces.archive.selection import parse_sds_name, sds_name
from pangeo_ces.cli import main
from pangeo_ces.errors import InputError, ParameterError, StoreError

SAMPLE = ces.samples.path("german_events")


def contents(target):
    archive, number = Archive.parse(target)
    return {e.name: archive.folder.fs.cat_file(e.url) for e in archive.files(number)}


def states(archive, number):
    return {row["name"]: row["state"] for row in Archive(archive).manifest(number)["files"]}


@pytest.fixture
def where(request, tmp_path):
    """An archive's URL on each kind of storage."""
    kind = request.param
    if kind == "local":
        return str(tmp_path / "archive")
    if kind == "memory":
        return f"memory://{request.node.name}-{os.getpid()}"
    return f"{request.getfixturevalue(kind)}/archive-{random.randrange(10**9)}"


EVERYWHERE = pytest.mark.parametrize(
    "where",
    ["local", "memory", *(pytest.param(k, marks=pytest.mark.service) for k in ("s3", "webdav"))],
    indirect=True,
)


def small_tree(folder, days=(1, 2, 3), station="AAA"):
    for day in days:
        path = folder / f"2020/XX/{station}/HHZ.D/XX.{station}.00.HHZ.D.2020.{day:03}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{station} {day}".encode())
    return folder


@EVERYWHERE
def test_the_whole_life_of_an_archive(where, tmp_path):
    root = small_tree(tmp_path / "sds")
    assert not is_archive(where)
    stage_sds(where, root)
    (root / sds_name(("XX", "AAA", "00", "HHZ"), obspy.UTCDateTime(2020, 1, 1))).write_bytes(b"!")
    (root / sds_name(("XX", "AAA", "00", "HHZ"), obspy.UTCDateTime(2020, 1, 2))).unlink()
    small_tree(root, [4])
    done = stage_sds(where, root)
    assert done.counts == {"new": 1, "updated": 1, "unchanged": 1, "removed": 1}
    done = stage_sds(where, root)
    assert done.counts == {"new": 0, "updated": 0, "unchanged": 3, "removed": 0}
    assert is_archive(where)
    assert is_archive(f"{where}@2")
    assert [row.counts["new"] for row in history(where)] == [3, 1, 0]
    assert [row.stage for row in history(f"{where}@2")] == [1, 2]
    assert [(row.name[-3:], row.state) for row in diff(f"{where}@1", f"{where}@3")] == [
        ("001", "updated"), ("002", "removed"), ("004", "new"),
    ]  # fmt: skip
    assert not diff(f"{where}@2", where)
    first = contents(f"{where}@1")
    assert sorted(first.values()) == [b"AAA 1", b"AAA 2", b"AAA 3"]
    for entry in Archive(where).files(1):
        assert hashlib.sha256(first[entry.name]).hexdigest() == entry.sha256
        assert entry.size == len(first[entry.name])
        with __import__("fsspec").open(entry.url, "rb") as stream:  # as any reader would
            assert stream.read() == first[entry.name]
    out = checkout(f"{where}@1", tmp_path / "out")
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == first
    folder = Folder(where)
    folder.fs.invalidate_cache()
    assert not [p for p in folder.fs.find(folder.root) if "/partial/" in p and "archive" not in p]


def test_objects_and_stages_cannot_be_changed_by_accident(tmp_path):
    stage_sds(tmp_path / "a", small_tree(tmp_path / "sds"))
    files = [p for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o444}
    out = checkout(tmp_path / "a", tmp_path / "out")
    for path in out.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o444
            assert path.stat().st_nlink == 2  # takes no space


def test_checkout_of_real_data_is_read_by_obspy(data, tmp_path):
    root = data("05_quality/eida_nl_hgn_lhz/SDS")
    stage_sds(tmp_path / "a", root)
    out = checkout(tmp_path / "a", tmp_path / "sds")
    start = obspy.UTCDateTime(2017, 1, 21, 12)
    ours = SDS(str(out)).get_waveforms("NL", "HGN", "02", "LHZ", start, start + 86400)
    theirs = SDS(str(root)).get_waveforms("NL", "HGN", "02", "LHZ", start, start + 86400)
    assert ours == theirs
    assert len(ours[0].data) == 86401
    checkout(tmp_path / "a", tmp_path / "sds")  # again: nothing to do


def test_checkout_refuses_a_folder_with_other_files(tmp_path):
    stage_sds(tmp_path / "a", small_tree(tmp_path / "sds"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(InputError, match="holds mine"):
        checkout(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a//b", "", ".", "a/./b", "a\0b"])
def test_names_that_escape_are_refused(tmp_path, name):
    stage_sds(tmp_path / "a", small_tree(tmp_path / "sds", [1]))
    path = tmp_path / "a/stages/00001.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"][0]["name"] = name
    path.chmod(0o644)
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="no path within it"):
        checkout(tmp_path / "a", tmp_path / "out")
    assert not (tmp_path / "x").exists()
    manifest["files"][0]["sha256"] = "../../../x"
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="no checksum"):
        Archive(tmp_path / "a").files(1)


@given(st.text(max_size=30))
def test_safe_names_stay_below(name):
    try:
        safe = safe_name(name)
    except InputError:
        return
    assert Path(os.path.normpath(f"/base/{safe}")).is_relative_to("/base/")
    assert os.path.normpath(f"/base/{safe}") != "/base"


@given(st.text(max_size=300), st.text(max_size=300))
def test_web_names_are_safe(path, query):
    name = web_name(f"https://host/{path}?{query}")
    assert safe_name(name) == name
    assert all(len(part) <= 200 for part in name.split("/"))


code = st.text("ABCXYZ019", min_size=1, max_size=5)


@given(code, code, st.text("0189", max_size=2), st.text("BHZNE12", min_size=3, max_size=3),
       st.integers(1970, 2100), st.integers(1, 366))  # fmt: skip
def test_sds_names_round_trip(network, station, location, channel, year, day):
    time = obspy.UTCDateTime(year, 1, 1) + (day - 1) * 86400
    name = sds_name((network, station, location, channel), time)
    assert parse_sds_name(name.rpartition("/")[2]) == (
        (network, station, location, channel),
        time,
    )


@pytest.mark.parametrize("layout", ["{n}/{y}/{s}/{c}.D", "{y}/{n}/{s}/{c}.D", "{n}/{s}", "flat"])
def test_variants_of_sds(tmp_path, layout):
    for station in ("AAA", "BBB"):
        folder = tmp_path / "in" / layout.format(y=2020, n="XX", s=station, c="HHZ")
        folder.mkdir(parents=True, exist_ok=True)
        for day in (1, 366):
            (folder / f"XX.{station}..HHZ.D.2020.{day:03}").write_bytes(station.encode())
        (folder / "README").write_text("not a waveform")
    done = stage_sds(tmp_path / "a", tmp_path / "in")
    assert done.counts["new"] == 4
    assert "2020/XX/BBB/HHZ.D/XX.BBB..HHZ.D.2020.366" in contents(tmp_path / "a")
    done = stage_sds(tmp_path / "b", tmp_path / "in", station="B*", starttime="2020-12-31T12:00")
    assert list(contents(tmp_path / "b")) == ["2020/XX/BBB/HHZ.D/XX.BBB..HHZ.D.2020.366"]
    with pytest.raises(InputError, match="fits"):
        stage_sds(tmp_path / "c", tmp_path / "in", network="YY")
    with pytest.raises(InputError, match="cannot reach"):
        stage_sds(tmp_path / "c", tmp_path / "nowhere")


def test_a_narrower_request_removes_only_within_itself(tmp_path):
    root = small_tree(small_tree(tmp_path / "sds"), station="BBB")
    stage_sds(tmp_path / "a", root)
    for path in root.rglob("*.002"):
        path.unlink()
    done = stage_sds(tmp_path / "a", root, station="AAA")
    assert done.counts == {"new": 0, "updated": 0, "unchanged": 5, "removed": 1}
    other = small_tree(tmp_path / "other", [9])
    assert stage_sds(tmp_path / "a", other).counts["removed"] == 0


def test_what_is_not_listed_but_there_is_not_removed(tmp_path, monkeypatch):
    from pangeo_ces.archive import sds

    root, walk = small_tree(tmp_path / "sds"), sds._walk
    stage_sds(tmp_path / "a", root)
    monkeypatch.setattr(sds, "_walk", lambda *given: (n for n in walk(*given) if "002" not in n))
    done = stage_sds(tmp_path / "a", root)
    assert done.counts == {"new": 0, "updated": 0, "unchanged": 3, "removed": 0}


def test_a_scratch_folder_that_is_gone_is_no_absent_file(tmp_path, monkeypatch):
    from pangeo_ces.archive import files

    root = small_tree(tmp_path / "sds")
    stage_sds(tmp_path / "a", root)

    def kind(url, head):
        shutil.rmtree(tmp_path / "a/partial", ignore_errors=True)
        return "waveform"

    monkeypatch.setattr(files, "kind_of", kind)
    with pytest.raises(StoreError, match="leave it alone"):
        stage_sds(tmp_path / "a", root)
    assert Archive(tmp_path / "a").stages() == [1]


def test_links_that_lead_in_circles(tmp_path):
    root = small_tree(tmp_path / "sds")
    (root / "2020/XX/again").symlink_to(root)
    assert stage_sds(tmp_path / "a", root).counts["new"] == 3


def test_files_folders_and_globs(tmp_path):
    done = stage_files(tmp_path / "a", SAMPLE)
    rows = {e.name: e for e in Archive(tmp_path / "a").files(1)}
    assert rows["german_events/observed/GR.mseed"].kind == "waveform"
    assert rows["german_events/stations.xml"].kind == "stations"
    assert rows["german_events/events.xml"].kind == "events"
    assert rows["german_events/README.md"].kind == "other"
    assert sum(e.kind == "waveform" for e in rows.values()) >= 46
    assert done.counts["new"] == len(rows)
    stage_files(tmp_path / "a", [f"{SAMPLE}/*.xml", SAMPLE / "observed"])
    assert states(tmp_path / "a", 2)["german_events/stations.xml"] == "unchanged"
    assert states(tmp_path / "a", 2)["observed/GR.mseed"] == "new"
    stage_files(tmp_path / "b", [SAMPLE / "stations.xml", str(SAMPLE / "observed/GR.mseed")])
    assert list(contents(tmp_path / "b")) == ["GR.mseed", "stations.xml"]
    for nothing in ("*.nothing", "nothing"):
        with pytest.raises(InputError, match="no files at"):
            stage_files(tmp_path / "a", tmp_path / nothing)
    with pytest.raises(InputError, match="nothing to stage"):
        stage_files(tmp_path / "a")


def test_two_files_of_one_name(tmp_path):
    for folder in "ab":
        (tmp_path / folder / "in").mkdir(parents=True)
        (tmp_path / folder / "in" / "x").write_text(folder)
    done = stage_files(tmp_path / "archive", [tmp_path / "a/in", tmp_path / "b/in"])
    assert contents(tmp_path / "archive") == {"in/x": b"a"}
    (row,) = done.problems
    assert (row.file, row.status) == (str(tmp_path / "b/in/x"), "rejected")


def test_empty_and_unreadable_files_are_rows(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/empty").touch()
    (tmp_path / "in/dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in/good").write_text("x")
    done = stage_files(tmp_path / "a", tmp_path / "in")
    assert list(contents(tmp_path / "a")) == ["in/good"]
    assert [(p.file, p.reason.split()[2]) for p in done.problems] == [("in/empty", "empty:")]


@pytest.mark.service
def test_from_a_web_server_and_a_list_of_urls(web_folder, tmp_path):
    url, folder = web_folder
    (folder / "day").mkdir()
    (folder / "day/a.mseed").write_bytes((SAMPLE / "observed/GR.mseed").read_bytes())
    (folder / "stations.xml").write_bytes((SAMPLE / "stations.xml").read_bytes())
    found = tmp_path / "found.json"
    secret = url.replace("http://", "http://me:s3cret@")
    found.write_text(json.dumps([{"url": f"{secret}/stations.xml?token=s3cret", "title": "x"},
                                 {"href": f"{url}/day/a.mseed"}, f"{url}/missing"]))  # fmt: skip
    done = stage_files(tmp_path / "a", urls=found)
    host = url.removeprefix("http://").replace(":", "_")
    assert contents(tmp_path / "a") == {
        f"{host}/stations.xml_token=...": (folder / "stations.xml").read_bytes(),
        f"{host}/day/a.mseed": (folder / "day/a.mseed").read_bytes(),
    }
    assert not done.problems  # what is not there is not there
    assert b"s3cret" not in (tmp_path / "a/stages/00001.json").read_bytes()
    (folder / "day/a.mseed").unlink()
    assert stage_files(tmp_path / "a", urls=found).counts["removed"] == 1
    done = stage_files(tmp_path / "b", f"{url}/")
    assert f"{host}/stations.xml" in contents(tmp_path / "b")
    found.write_text('{"not": "a list"}')
    with pytest.raises(InputError, match="no list of URLs"):
        stage_files(tmp_path / "a", urls=found)


def test_a_source_that_breaks_off_is_read_again(tmp_path, monkeypatch):
    import fsspec.implementations.local as local

    small_tree(tmp_path / "sds")
    read, broken = local.LocalFileOpener.read, []

    def breaking(self, *size):
        if "/sds/" not in self.path:
            return read(self, *size)
        if len(broken) < 2 or self.path.endswith("002"):
            broken.append(self.path)
            raise ConnectionResetError("me:pw@host went away: http://me:pw@host/x")
        return read(self, *size)

    monkeypatch.setattr(local.LocalFileOpener, "read", breaking)
    done = stage_sds(tmp_path / "a", tmp_path / "sds", threads=1)
    assert done.counts["new"] == 2
    (problem,) = done.problems
    assert problem.file.endswith("2020.002") and "try it again" in problem.reason
    assert "pw" not in problem.reason.partition("://")[2]


@pytest.mark.service
def test_a_web_server_that_refuses_is_a_row_without_password(steady, tmp_path):
    from centre import Proxy

    with Proxy(steady.url, lambda number, path: "503" if "event" in path else None) as proxy:
        url = proxy.url.replace("http://", "http://me:s3cret@")
        done = stage_files(tmp_path / "a", [f"{url}/fdsnws/event/1/version",
                                            f"{url}/fdsnws/station/1/version"])  # fmt: skip
    assert list(contents(tmp_path / "a").values()) == [b"1.1.0"]
    assert [p.status for p in done.problems] == ["rejected"]
    assert b"s3cret" not in (tmp_path / "a/stages/00001.json").read_bytes()


@pytest.mark.service
def test_from_an_open_bucket_into_another(s3, tmp_path, monkeypatch):
    import s3fs

    fs, bucket = s3fs.S3FileSystem(), s3.removeprefix("s3://")
    root = small_tree(tmp_path / "sds")
    fs.put(str(root), f"{bucket}/open/sds", recursive=True)
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    options = {"anon": True, "endpoint": endpoint}
    with pytest.raises(InputError, match="cannot reach"):
        stage_sds(tmp_path / "a", f"{s3}/open/sds", **options)
    things = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"],
         "Resource": things}]}  # fmt: skip
    fs.call_s3("put_bucket_policy", Bucket=bucket, Policy=json.dumps(policy))
    s3fs.S3FileSystem.clear_instance_cache()
    assert stage_sds(tmp_path / "a", f"{s3}/open/sds", **options).counts["new"] == 3
    assert stage_files(tmp_path / "b", f"{s3}/open", **options).counts["new"] == 3
    assert sorted(contents(tmp_path / "a").values()) == sorted(contents(tmp_path / "b").values())
    assert Archive(tmp_path / "a").files(1)[0].source.startswith(f"{s3}/open/sds/")


@pytest.mark.service
def test_from_webdav(webdav, webdav_server, tmp_path, monkeypatch):
    small_tree(webdav_server[1] / "in a folder")
    done = stage_sds(tmp_path / "a", f"{webdav}/in a folder")
    assert done.counts["new"] == 3
    monkeypatch.delenv("CES_WEBDAV_USER")
    address = webdav.replace("webdav://", "webdav://ces:s3cret@")
    done = stage_files(tmp_path / "a", f"{address}/in a folder")
    assert done.counts["new"] == 3
    for path in (tmp_path / "a").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()
    with pytest.raises(InputError, match="credentials"):
        stage_files(tmp_path / "a", webdav.replace("webdav://", "webdav://ces:wrong@"))
    with pytest.raises(StoreError, match="credentials"):
        stage_sds(webdav.replace("webdav://", "webdav://ces:wrong@"), small_tree(tmp_path / "x"))


def test_targets(tmp_path):
    url = tmp_path / "a@home"
    stage_sds(url, small_tree(tmp_path / "sds"))
    stage_sds(url, tmp_path / "sds")
    assert Archive.parse(url)[1] == 2
    assert Archive.parse(f"{url}@1")[1] == 1
    assert Archive.parse(f"{url}@latest")[1] == 2
    assert Archive.parse(f"{url}@2999-01-01")[1] == 2
    second = Archive(url).manifest(2)["created"].removesuffix("+00:00")
    assert Archive.parse(f"{url}@{second}")[1] == 1
    for wrong, text in (("@7", "there are 1 to 2"), ("@2000-01-01", "has no stage 2000-01-01")):
        with pytest.raises(StoreError, match=text):
            Archive.parse(f"{url}{wrong}")
    with pytest.raises(ParameterError, match="no time"):
        Archive.parse(f"{url}@2020-13-01")
    with pytest.raises(StoreError, match="make one with ces stage"):
        Archive(tmp_path / "nothing")
    assert split_version("s3://b/a@2026-01-01T12:00:00Z")[1] == "2026-01-01T12:00:00Z"


def test_a_folder_with_other_things_is_no_place_for_an_archive(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with pytest.raises(StoreError, match="thesis.tex"):
        stage_sds(tmp_path / "mine", small_tree(tmp_path / "sds"))


@pytest.mark.parametrize("marker, text", [
    ("{}", "not of an archive"), ("nonsense", "not of an archive"),
    ('{"format": "CES-archive", "version": "2.0"}', "newer pangeo_ces"),
])  # fmt: skip
def test_other_formats_are_refused(tmp_path, marker, text):
    (tmp_path / "ces-archive.json").write_text(marker)
    with pytest.raises(StoreError, match=text):
        Archive(tmp_path)


@pytest.mark.parametrize("url, shown", [
    ("https://me:pw@host/x", "https://host/x"),
    ("https://host/x?api_key=12&net=IV", "https://host/x?api_key=...&net=IV"),
    ("s3://bucket/a@b", "s3://bucket/a@b"),
])  # fmt: skip
def test_secrets_in_urls(url, shown):
    assert public(url) == shown


def test_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    root = small_tree(tmp_path / "sds")
    shown = run(main, ["stage", "sds", "archive", str(root), "--dry-run"])
    assert shown.exit_code == 0 and "3 files would be asked for" in shown.output
    assert not (tmp_path / "archive").exists()
    for _ in range(2):
        done = run(main, ["stage", "sds", "archive", str(root), "--json"])
        assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["counts"]["unchanged"] == 3
    (root / "empty.mseed").touch()
    done = run(main, ["stage", "files", "archive", str(root), "--strict", "--quota", "1MB"])
    assert done.exit_code == 1 and "stage 3 of archive: 3 new" in done.output
    rows = json.loads(run(main, ["history", "archive", "--json"]).stdout)
    assert [(row["stage"], row["counts"]["new"]) for row in rows] == [(1, 3), (2, 0), (3, 3)]
    assert "sds root=" in run(main, ["history", "archive"]).stdout
    assert run(main, ["diff", "archive@1", "archive@2"]).stdout == "0 files differ\n"
    rows = json.loads(run(main, ["diff", "archive@2", "archive@3", "--json"]).stdout)
    assert {row["state"] for row in rows} == {"new"}
    assert run(main, ["checkout", "archive@1", "out"]).exit_code == 0
    assert len(list((tmp_path / "out").rglob("*.00?"))) == 3
    for wrong in (["stage", "sds", "archive", str(root), "--quota", "much"],
                  ["stage", "fdsn", "archive", "--provider", "INGV", "--box", "1,2"],
                  ["stage", "fdsn", "archive"]):  # fmt: skip
        assert run(main, wrong).exit_code == 2, wrong
    assert run(main, ["history", "nothing"]).exit_code == 1
    assert run(main, ["stage", "fdsn", "archive", "--provider", "INGV"]).exit_code == 1


@pytest.mark.service
def test_command_line_from_a_data_centre(steady, tmp_path):
    command = [sys.executable, "-m", "pangeo_ces", "stage", "fdsn", str(tmp_path / "a"),
               "--provider", steady.url, "--channel", "HHZ", "--minmagnitude", "5",
               "--event-box", "45,46,10,11", "--circle", "45,10,0,1", "--location", "00,10",
               "--location-priorities", "10,00", "--after", "60", "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["new"] == 3
    found = contents(tmp_path / "a")
    assert sorted(found)[2:] == ["windows/test_event_0/XX.AAA.10.HHZ.mseed"]
    assert obspy.read(io.BytesIO(found[sorted(found)[2]]))[0].stats.npts >= 120
