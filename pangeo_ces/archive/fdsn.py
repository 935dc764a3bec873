"""Staging from FDSN web services."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import obspy.core.event

from ..errors import ParameterError
from ..sources.metadata import read_catalog
from . import services
from .archive import Archive, is_archive
from .centres import Centres, stations_of
from .selection import moment, region
from .services import Event
from .stage import Staged, Staging, present
from .wanted import Wanted
from .web import Web

type Events = str | Path | Sequence[str | Path] | obspy.core.event.Catalog | Mapping[str, Any]


def stage_fdsn(
    archive: str | os.PathLike[str],
    provider: str | Sequence[str],
    *,
    network: str = "*",
    station: str = "*",
    location: str = "*",
    channel: str = "*",
    starttime: Any = None,
    endtime: Any = None,
    events: Events | None = None,
    event_provider: str | None = None,
    before: float = 60.0,
    after: float = 600.0,
    domain: Any = None,
    channel_priorities: Sequence[str] | None = None,
    location_priorities: Sequence[str] | None = None,
    minimum_length: float = 0.0,
    reject_gaps: bool = False,
    user: str | None = None,
    password: str | None = None,
    threads: int = 3,
    timeout: float = 60.0,
    quota: int | None = None,
    restart: bool = False,
    dry_run: bool = False,
    progress: bool = False,
) -> Staged:
    """Stage waveforms, station metadata and earthquakes from FDSN web services.

    Bytes are kept as the data centre sends them: continuous data a file per channel and UTC day,
    called as in an SDS tree; event windows as ``windows/EVENT/NET.STA.LOC.CHA.mseed``; StationXML
    with responses as ``stations/NET.STA.xml``; QuakeML as ``events/EVENT.xml``.

    Parameters
    ----------
    archive
        Path or URL of the archive; made if it is not there.
    provider
        A data centre's name as ObsPy knows it, the base URL of its services, or several of these:
        a station is had from the first that delivers it.  ``eida-routing`` and ``iris-federator``
        ask a routing service who has what (``eida-routing@URL``: one of your own).
    network, station, location, channel
        SEED codes; ``*``, ``?`` and commas as usual, ``--`` for the empty location.
    starttime, endtime
        Of the waveforms; with ``events``, of the origins.
    events
        Windows around these earthquakes: QuakeML files or other catalogues, an ObsPy ``Catalog``,
        or parameters for the event service, as ``{"minmagnitude": 5}``.
    event_provider
        Whose event service is asked, if not that of the (first) provider.
    before, after
        Seconds of a window before and after the origin time.
    domain
        Where the stations are: a mapping with ``minlatitude``, ``maxlatitude``, ``minlongitude``,
        ``maxlongitude``, or with ``latitude``, ``longitude``, ``minradius``, ``maxradius``
        (degrees), or such a domain of ObsPy's mass downloader.
    channel_priorities, location_priorities
        Patterns, as ``["HH[ZNE]", "BH[ZNE]"]``: at each station only the channels (and location)
        of the first pattern that fits any.  All, if not given.
    minimum_length
        Smallest part (0 to 1) of the time asked for that a file must cover.
    reject_gaps
        Leave out files with gaps or overlaps.
    user, password
        For restricted data; else of ``CES_FDSN_USER`` and ``CES_FDSN_PASSWORD``.  Never kept.
    threads
        Requests to one data centre at the same time.
    timeout
        Seconds without a byte after which a request is given up and tried again.
    quota
        Bytes the archive may hold.
    restart
        Forget what an interrupted run of the same request has got already.
    dry_run
        Say what would be asked for, and write nothing.
    progress
        Show a progress bar.

    Returns
    -------
    Staged

    Raises
    ------
    ParameterError
        If the request makes no sense.
    InputError
        If no data centre answers, or no station fits.
    StoreError
        If the archive cannot be written, or would exceed its quota.

    Notes
    -----
    "No data" is no error.  What cannot be had after several attempts is a row in
    :attr:`Staged.problems`, and the archive's earlier copy stays.  A file counts as removed only
    when the provider was asked for it and said that it has none.
    """
    if not 0 <= minimum_length <= 1:
        raise ParameterError(f"minimum_length={minimum_length}: give a part between 0 and 1")
    if events is None and (starttime is None or endtime is None):
        raise ParameterError("no time: give starttime and endtime, or events")
    if not 1 <= threads <= 16:
        raise ParameterError(f"threads={threads}: give 1 to 16, data centres count")
    providers = [provider] if isinstance(provider, str) else list(provider)
    start, end = (None if t is None else moment(t, "time") for t in (starttime, endtime))
    if start is not None and end is not None and not start < end:
        raise ParameterError(f"endtime {endtime} is not after starttime {starttime}")
    request: dict[str, Any] = {
        "from": "fdsn",
        "provider": providers,
        "network": network,
        "station": station,
        "location": location,
        "channel": channel,
        "starttime": None if start is None else services.stamp(start),
        "endtime": None if end is None else services.stamp(end),
        "domain": region(domain),
        "channel_priorities": None if channel_priorities is None else list(channel_priorities),
        "location_priorities": None if location_priorities is None else list(location_priorities),
        "minimum_length": float(minimum_length),
        "reject_gaps": bool(reject_gaps),
    }
    user = os.environ.get("CES_FDSN_USER") if user is None else user
    password = os.environ.get("CES_FDSN_PASSWORD") if password is None else password
    web = Web(user, password, timeout)
    given: list[Event] | None = None
    if events is not None:
        if isinstance(events, Mapping):
            asked = _event_query(events)
        else:
            given = _read_events(events)
            asked = _events_digest(given)
        request |= {
            "events": asked,
            "event_provider": event_provider or _first_centre(providers, given),
            "before": float(before),
            "after": float(after),
        }
    if dry_run:
        return _preview(archive, request, web, given)
    with Staging(archive, request, quota=quota, restart=restart) as staging:
        wanted = Wanted(web, request, given, staging.previous, staging.memo)
        centres = Centres(wanted, staging, threads, progress)
        centres.ask()
        return staging.publish(
            # The event service was asked for all of them; of all else, data centres say.
            covers=lambda file, made_by: (
                made_by == request and file["kind"] == "events" and given is None
            ),
            problems=centres.problems,
            failed=centres.failed,
        )


def _preview(
    archive: str | os.PathLike[str], request: dict[str, Any], web: Web, given: list[Event] | None
) -> Staged:
    """What would be asked for, if each data centre delivers what it lists."""
    wanted = Wanted(web, request, given, present(Archive(archive)) if is_archive(archive) else {})
    asked = []
    for wave in wanted.waves():
        for centre, channels in wanted.listings(wave):
            pieces = wanted.pieces(channels)
            asked += [centre.source(piece) for piece in pieces]
            asked += [services.station_url(centre, *s) for s in sorted(stations_of(channels))]
            wanted.delivered |= {piece.codes[:2] for piece in pieces}
    return Staged(os.fspath(archive), None, None, request, {}, tuple(wanted.problems), tuple(asked))


def _read_events(
    events: str | Path | Sequence[str | Path] | obspy.core.event.Catalog,
) -> list[Event]:
    """The earthquakes of a file or an ObsPy catalogue."""
    if not isinstance(events, obspy.core.event.Catalog):
        events = read_catalog(events)
    found = []
    for event in events:
        name = services.event_name(str(event.resource_id))
        buffer = io.BytesIO()
        catalog = obspy.core.event.Catalog([event], resource_id="smi:local/events")
        catalog.write(buffer, format="QUAKEML")
        origin = event.preferred_origin() or (event.origins[0] if event.origins else None)
        found.append(Event(name, origin.time if origin else None, buffer.getvalue()))
    return found


def _event_query(query: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for an event service, with a ``domain`` among them written out."""
    plain = {key: value for key, value in query.items() if value is not None and key != "domain"}
    for key in plain.keys() & {"starttime", "endtime", "updatedafter"}:
        plain[key] = services.stamp(moment(plain[key], key))
    return dict(sorted({**plain, **region(query.get("domain"))}.items()))


def _events_digest(events: list[Event]) -> dict[str, Any]:
    """What tells one list of earthquakes from another."""
    digest = hashlib.sha256(b"".join(event.quakeml for event in events)).hexdigest()
    return {"count": len(events), "sha256": digest}


def _first_centre(providers: list[str], given: list[Event] | None) -> str | None:
    if given is not None:
        return None
    for name in providers:
        if not services.is_router(name):
            return name
    raise ParameterError("a routing service knows no events: give event_provider")
