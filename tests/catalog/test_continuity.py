"""Spans, gaps and completeness of channels, against counting every sample."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pangeo_ces.catalog.continuity import completeness, spans

YEAR = int(np.datetime64("2017-01-01", "ns").astype("int64"))
STEP = 10**9


def table(rows):
    """A segment table at 1 Hz of rows (station, first sample, samples); sample 0 is at YEAR."""
    columns = np.array(rows, dtype="int64").reshape(-1, 3)
    nothing = np.zeros(len(columns), "int32")
    return {
        "event_number": nothing, "component_number": nothing, "station_number": columns[:, 0],
        "quantity": np.array(["counts"] * len(columns)), "start": YEAR + columns[:, 1] * STEP,
        "index": columns[:, 1], "samples": columns[:, 2],
    }  # fmt: skip


segments = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-50, 50), st.integers(1, 30)), min_size=1, max_size=12
)


@given(segments, st.booleans())
def test_against_counting(rows, by_year):
    found = spans(table(rows), Fraction(1), by_year=by_year)
    wanted = []
    for station in sorted({row[0] for row in rows}):
        own = [row[1:] for row in rows if row[0] == station]
        there = sorted({n for first, count in own for n in range(first, first + count)})
        parts = [[n for n in there if n < 0], [n for n in there if n >= 0]] if by_year else [there]
        for part in filter(None, parts):
            gaps = int((np.diff(part) > 1).sum())
            wanted.append((station, YEAR + part[0] * STEP, YEAR + part[-1] * STEP, len(part),
                           part[-1] - part[0] + 1, gaps))  # fmt: skip
    names = ["station", "start", "end", "present", "length", "gaps"]
    assert [tuple(row) for row in found[names].to_numpy()] == wanted
    present, length = sum(row[3] for row in wanted), sum(row[4] for row in wanted)
    assert abs(completeness(found) - 100 * present / length) <= 1e-4
    assert (completeness(found) == 100) == (present == length)


def test_many_years_in_one_piece():
    years = 3 * 365 * 86_400
    found = spans(table([(0, -10, years)]), Fraction(1), by_year=True)
    assert found["year"].tolist() == [2016, 2017, 2018, 2019]
    assert found["present"].sum() == years and found["gaps"].sum() == 0
    starts = found["start"].to_numpy().astype("datetime64[ns]").astype("datetime64[s]").astype(str)
    assert starts.tolist() == ["2016-12-31T23:59:50", "2017-01-01T00:00:00", "2018-01-01T00:00:00",
                               "2019-01-01T00:00:00"]  # fmt: skip


def test_one_sample_missing_is_not_complete():
    found = spans(table([(0, 0, 10_000_000), (0, 10_000_001, 10_000_000)]), Fraction(1),
                  by_year=False)  # fmt: skip
    assert completeness(found) < 100
