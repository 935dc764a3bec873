"""What a segment table says of each channel: when it begins and ends, and what is missing."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from ..timeaxis import NANO

_CHANNEL = ["event", "station", "component", "quantity"]


def spans(table: dict[str, Any], interval: Fraction, *, by_year: bool) -> pd.DataFrame:
    """A row for each channel (and calendar year): ``start``, ``end`` (ns, first and last sample),
    ``present`` of ``length`` samples between them, ``gaps`` and ``segments``.

    Parameters
    ----------
    table
        Columns of the segment table of a node.
    by_year
        Cut continuous data where a year ends.
    """
    rows = pd.DataFrame(
        {
            "event": table["event_number"],
            "station": table["station_number"],
            "component": table["component_number"],
            "quantity": np.asarray(table["quantity"]).astype(object),
            "start": table["start"],
            "first": table["index"],
            "samples": table["samples"],
        }
    )
    rows = rows[rows["samples"] > 0]
    rows["end"] = _end(rows, interval)
    key = _CHANNEL
    if by_year:
        rows, key = _cut(rows, interval), [*_CHANNEL, "year"]
    rows["stop"] = rows["first"] + rows["samples"]
    rows = rows.sort_values([*key, "first"], kind="stable", ignore_index=True)
    # How far the channel was covered before each row; segments may overlap or repeat.
    channel = rows.groupby(key, sort=False).ngroup()
    reached = rows.groupby(channel)["stop"].cummax().groupby(channel).shift()
    begins = reached.isna()
    reached = reached.fillna(rows["first"]).astype("int64")
    rows["present"] = (rows["stop"] - np.maximum(rows["first"], reached)).clip(lower=0)
    rows["gap"] = ~begins & (rows["first"] > reached)
    found = rows.groupby(key, sort=True).agg(
        start=("start", "min"), end=("end", "max"), first=("first", "min"), stop=("stop", "max"),
        present=("present", "sum"), gaps=("gap", "sum"), segments=("gap", "size"),
    )  # fmt: skip
    found["length"] = found["stop"] - found["first"]
    return found.drop(columns=["first", "stop"]).reset_index()


def completeness(rows: pd.DataFrame) -> float:
    """Percentage of the samples that are there, between the first and last of each channel; rounded
    down, so that only what is complete has 100."""
    present, length = int(rows["present"].sum()), int(rows["length"].sum())
    return 100 * present * 10_000 // length / 10_000


def _end(rows: pd.DataFrame, interval: Fraction) -> list[int]:
    """Time of the last sample of each row."""
    step = interval * NANO
    return [
        start + int((samples - 1) * step)
        for start, samples in zip(rows["start"].tolist(), rows["samples"].tolist(), strict=True)
    ]


def _cut(rows: pd.DataFrame, interval: Fraction) -> pd.DataFrame:
    """Rows that end in another year than they start in, cut where the years begin."""
    years = pd.DataFrame({name: _year(rows[name]) for name in ("start", "end")}, index=rows.index)
    whole = rows.assign(year=years["start"])
    crossing = years["start"] != years["end"]
    if not crossing.any():
        return whole
    step = interval * NANO
    pieces = []
    for row in whole[crossing].to_dict("records"):
        begin, start, year = 0, int(row["start"]), int(row["year"])
        while begin < row["samples"]:
            border = int(np.datetime64(f"{year + 1:04d}-01-01", "ns").astype("int64"))
            end = min(int(row["samples"]), -int((start - border) // step))
            if end > begin:
                pieces.append(
                    {**row, "year": year, "first": row["first"] + begin, "samples": end - begin,
                     "start": start + int(begin * step), "end": start + int((end - 1) * step)}
                )  # fmt: skip
            begin, year = max(begin, end), year + 1
    return pd.concat([whole[~crossing], pd.DataFrame(pieces)], ignore_index=True)


def _year(ns: pd.Series) -> np.ndarray:
    return ns.to_numpy("int64").astype("datetime64[ns]").astype("datetime64[Y]").astype(int) + 1970
