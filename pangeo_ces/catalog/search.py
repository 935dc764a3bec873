"""Opening a catalogue, searching it, opening what was found."""

from __future__ import annotations

import dataclasses
import html
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import StoreError
from .area import check_box
from .hrefs import resolve
from .interval import Interval, parse_interval
from .read import Reader
from .select import open_items
from .stac import Document
from .table import Patterns, Table, channel_filter

_SHOWN = 20


def open_catalog(url: str | os.PathLike[str]) -> Catalog:
    """Open a catalogue that :func:`build_catalog` wrote.

    Parameters
    ----------
    url
        Its folder or its ``catalog.json``: a path, ``s3://``, ``http(s)://`` or ``memory://``.

    Returns
    -------
    Catalog
        The items are read when first searched, and kept: open the catalogue again to see what
        was built since.

    Raises
    ------
    StoreError
        When there is none, it is damaged, or it cannot be reached.

    Examples
    --------
    >>> store = pangeo_ces.samples.german_events("memory://doc-open-catalog/quakes")
    >>> built = pangeo_ces.catalog.build_catalog(store, "memory://doc-open-catalog/stac")
    >>> found = open_catalog(built.url).search(event="germany", kind="windows")
    >>> len(found), found.open()["counts"].sizes["event"]
    (1, 1)
    """
    return Catalog(Reader(url))


class Catalog:
    """A STAC catalogue of stores and archives; :func:`open_catalog` makes one."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._table: Table | None = None

    @property
    def url(self) -> str:
        """Where it lies."""
        return self._reader.url

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self._reader.root.get("title") or self._reader.root.get("id") or "")

    def __repr__(self) -> str:
        return f"<Catalog {self.title!r} at {self.url}>"

    def search(
        self,
        *,
        event: Patterns = None,
        bbox: Sequence[float] | None = None,
        time: Any = None,
        network: Patterns = None,
        station: Patterns = None,
        channel: Patterns = None,
        kind: Patterns = None,
        magnitude: tuple[float | None, float | None] | None = None,
    ) -> Found:
        """The items that fit all of what is asked.

        Parameters
        ----------
        event
            Id of an event (of the store, or its resource id), or a part of its name; or several.
        bbox
            West, south, east, north (degrees); west > east crosses the date line.  It is about the
            station of continuous data, the epicentre of event windows, all stations of synthetics
            and of archives.
        time
            ``"2016-08-24/2016-09-01"``, ``"../2016"``, a day, or a pair of times (UTC).
        network, station, channel
            Codes, with ``*`` and ``?``, one or several; ``station`` also takes ``GR.BFO`` and
            labels such as ``GR.BFO..HH``.
        kind
            ``continuous``, ``windows``, ``synthetic``, ``archive``; or several.
        magnitude
            Lowest and highest, ``None`` for an open end.

        Returns
        -------
        Found

        Raises
        ------
        ParameterError
            When something asked for makes no sense.
        """
        table = self.table()
        chosen = np.ones(len(table.names), dtype=bool)
        interval = None if time is None else parse_interval(time)
        channels = channel_filter(network, station, channel)
        if event is not None:
            chosen &= table.of_event(event)
        if bbox is not None:
            chosen &= table.at(check_box(bbox))
        if interval is not None:
            chosen &= table.within(interval)
        if channels is not None:
            chosen &= table.with_channel(channels)
        if kind is not None:
            chosen &= table.of_kind(kind)
        if magnitude is not None:
            chosen &= table.strong(magnitude)
        return Found(self, np.flatnonzero(chosen), interval, channels)

    def table(self) -> Table:
        """All items as columns, read when first needed."""
        if self._table is None:
            self._table = Table.of(self._reader.items())
        return self._table

    def item(self, row: int) -> Document:
        """A STAC item, with addresses of its assets that work from anywhere."""
        table = self.table()
        item = table.item(row)
        try:
            for asset in item["assets"].values():
                asset["href"] = resolve(str(asset["href"]), self.url, table.names[row])
        except (KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{table.names[row]} has no usable assets ({error!r}): build the "
                             "catalogue again") from error  # fmt: skip
        return item


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What a search found: STAC items to go through, a table to look at, data to open."""

    catalog: Catalog
    rows: np.ndarray
    interval: Interval | None
    channels: Callable[[str], bool] | None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Document]:
        return (self.catalog.item(int(row)) for row in self.rows)

    def __getitem__(self, number: int) -> Document:
        return self.catalog.item(int(self.rows[number]))

    def __repr__(self) -> str:
        return f"{self._count()}\n{self.listing(_SHOWN)}{self._more()}"

    def _repr_html_(self) -> str:
        table = self._brief(_SHOWN).to_html(index=False, escape=True, na_rep="")
        return f"<p>{html.escape(self._count())}</p>{table}<p>{self._more()}</p>"

    def listing(self, most: int | None = None) -> str:
        """A line for each item, or for ``most`` of them."""
        return self._brief(most).to_string(index=False, na_rep="") if len(self) else "nothing"

    def _brief(self, most: int | None) -> pd.DataFrame:
        table = self.to_table(most)[_BRIEF]
        times = {name: table[name].dt.strftime("%Y-%m-%dT%H:%M:%S") for name in ("start", "end")}
        return table.assign(**times)

    @property
    def total(self) -> int:
        """How many items the catalogue has."""
        return len(self.catalog.table().names)

    def _count(self) -> str:
        return f"{len(self)} of {self.total} items in {self.catalog.url}"

    def _more(self) -> str:
        return f"\n… and {len(self) - _SHOWN} more" if len(self) > _SHOWN else ""

    def to_table(self, most: int | None = None) -> pd.DataFrame:
        """A row for each item.

        Parameters
        ----------
        most
            Only so many.

        Returns
        -------
        pd.DataFrame
            ``item, kind, collection, event, name, magnitude, start, end`` (UTC), ``longitude,
            latitude`` (of the middle, degrees), ``stations, channels, rates`` (Hz),
            ``completeness`` (%), ``version``.
        """
        table = self.catalog.table()
        chosen = self.rows[:most]
        west, south, east, north = table.box[chosen].T
        middle = west + (east - west) % 360 / 2
        return pd.DataFrame(
            [_row(table.item(int(row))) for row in chosen], columns=_COLUMNS
        ).assign(
            start=pd.to_datetime(table.first[chosen], utc=True),
            end=pd.to_datetime(table.last[chosen], utc=True),
            longitude=np.where(middle > 180, middle - 360, middle), latitude=(south + north) / 2,
        )  # fmt: skip

    def open(self) -> xr.DataTree | xr.Dataset:
        """The data, lazily, at the versions that the items name; no samples are read.

        Returns
        -------
        xr.DataTree or xr.Dataset
            The nodes of the store that were hit, a Dataset if it is one; of several stores, below
            the name of each.  Only stations (and components) and events that were found are in
            it; continuous data are cut to the time that was searched.

        Raises
        ------
        StoreError
            When nothing was found, there are only raw files, or a store is not there any more.
        """
        return open_items(list(self), self.interval, self.channels)


_COLUMNS = ["item", "kind", "collection", "event", "name", "magnitude", "start", "end",
            "longitude", "latitude", "stations", "channels", "rates", "completeness",
            "version"]  # fmt: skip
_BRIEF = ["item", "kind", "name", "magnitude", "start", "end", "stations", "rates"]


def _row(item: Document) -> dict[str, Any]:
    fields = item["properties"]
    return {
        "item": item.get("id"), "kind": fields.get("seis:kind"),
        "collection": item.get("collection"), "event": fields.get("seis:event_id", ""),
        "name": fields.get("seis:event_name", fields.get("seis:model", "")),
        "magnitude": fields.get("seis:magnitude"),
        "stations": len(fields.get("seis:stations", ())),
        "channels": len(fields.get("seis:channels", ())),
        "rates": ", ".join(f"{rate:g}" for rate in fields.get("seis:sampling_rates", ())),
        "completeness": fields.get("seis:completeness"), "version": fields.get("version", ""),
    }  # fmt: skip
