"""Times as people write them."""

from __future__ import annotations

import datetime

import numpy as np
import obspy
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangeo_ces.catalog.interval import FIRST, LAST, parse_interval
from pangeo_ces.errors import ParameterError

DAY = 86_400_000_000_000
moments = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))


def ns(text):
    return int(np.datetime64(text, "ns").astype("int64"))


@pytest.mark.parametrize("text, first, last", [
    ("2016-08-24/2016-09-01", "2016-08-24", "2016-09-02"),
    ("2016-08-24", "2016-08-24", "2016-08-25"),
    ("2016-02", "2016-02-01", "2016-03-01"),
    ("2016", "2016-01-01", "2017-01-01"),
    (("2016", "2016-12"), "2016-01-01", "2017-01-01"),
])  # fmt: skip
def test_periods_are_whole(text, first, last):
    assert parse_interval(text) == (ns(first), ns(last) - 1)


@pytest.mark.parametrize("text", ["../2016", "/2016", (None, "2016"), ("..", "2016")])
def test_open_ends(text):
    assert parse_interval(text) == (FIRST, ns("2017-01-01") - 1)
    assert parse_interval("2016/..") == (ns("2016-01-01"), LAST)
    assert parse_interval("../..") == (FIRST, LAST)


@given(moments, moments)
def test_exact_times_in_any_form(one, two):
    one, two = sorted((one, two))
    wanted = ns(one), ns(two)
    assert parse_interval((one, two)) == wanted
    assert parse_interval(f"{one.isoformat()}Z/{two.isoformat()}+00:00") == wanted
    assert parse_interval((obspy.UTCDateTime(one), np.datetime64(two))) == wanted
    assert parse_interval((pd.Timestamp(one, tz="UTC"), pd.Timestamp(two))) == wanted


@pytest.mark.parametrize("time", ["2017/2016", "yesterday", "2016-13", 2016, (1, 2, 3), "9999",
                                  ("2016", 5), "2016-08-24T25:00/..", float("nan")])  # fmt: skip
def test_no_interval(time):
    with pytest.raises(ParameterError, match=r"write it as|exchange"):
        parse_interval(time)
