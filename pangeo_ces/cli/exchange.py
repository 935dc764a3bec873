"""Verbs that hand a store's waveforms on: export."""

from __future__ import annotations

import json

import click

from .output import few, print_rows, say, watched


@click.command()
@click.argument("store")
@click.option("--format", "form", type=click.Choice(["mseed", "mseed3", "sac", "asdf", "zarr"]),
              default="mseed", show_default=True, help="Of the files.")  # fmt: skip
@click.option("--output", required=True, metavar="DIR", help="Folder or URL to write to.")
@click.option("--node", default="", metavar="PATH", help="Node with all below it; else all.")
@click.option("--network", default="*", help="Network code, with * and ?.")
@click.option("--station", default="*", help="Station code, with * and ?.")
@click.option("--location", default="*", help="Location code, with * and ?; -- is an empty one.")
@click.option("--channel", default="*", help="Channel code, with * and ?.")
@click.option("--starttime", metavar="UTC", help="Samples from here on.")
@click.option("--endtime", metavar="UTC", help="Samples before this.")
@click.option("--record-length", type=int, default=4096, show_default=True,
              help="Bytes of a miniSEED record.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit with 1 if anything was rejected.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def export(
    store: str,
    form: str,
    output: str,
    node: str,
    network: str,
    station: str,
    location: str,
    channel: str,
    starttime: str | None,
    endtime: str | None,
    record_length: int,
    strict: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the records of a STORE as miniSEED, SAC or ASDF files, sample for sample.

    With --format zarr, copy the whole version to plain Zarr, which needs no Icechunk.

    Event windows come in a folder for each event, continuous data as an SDS archive, with
    stations.xml and events.xml beside them.

    \b
    ces export norcia.zarr --output out
    ces export norcia.zarr --format sac --node windows/main/observed --station "AM*" --output out
    """
    from ..store.exchange import export_zarr
    from ..store.export import export as call

    if form == "zarr":
        objects = export_zarr(store, output)
        say(json.dumps({"objects": objects}) if as_json else f"wrote {objects} objects to {output}")
        return
    done = call(
        store, output, format=form, path=node, network=network, station=station, location=location,
        channel=channel, starttime=starttime, endtime=endtime, record_length=record_length,
        progress=watched(quiet or as_json),
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(done.to_dict()))
    else:
        names = few(done.files, 3)
        say(f"wrote {done.traces} traces, {done.samples} samples, to {output}: {names}")
        print_rows([(row.status, row.file, row.trace, row.reason) for row in done.rows])
    if strict and done.count("rejected"):
        raise SystemExit(1)
