"""Operators: what is known of them without running them, their checks and their records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import dask
import pytest
import xarray as xr

import pangeo_ces as ces
from pangeo_ces import lineage, registry
from pangeo_ces.conventions import QUANTITIES, VARIABLES
from pangeo_ces.errors import ParameterError, SchemaError, UnitsError

for name in ces.__all__:
    getattr(ces, name)
OPERATORS = dict(registry.load_operators())
every_operator = pytest.mark.parametrize("name", sorted(OPERATORS))
TYPES = {"array": list, "boolean": bool, "integer": int, "null": type(None),
         "number": (int, float), "string": str}  # fmt: skip


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """As a JSON schema validator sees it, for the keywords that ours use."""
    assert set(schema) <= {"type", "enum", "anyOf", "items", "prefixItems", "minItems", "maxItems",
                           "default"}, schema  # fmt: skip
    if "anyOf" in schema:
        return any(valid(value, option) for option in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    if isinstance(value, bool) and schema.get("type") != "boolean":
        return False
    if not isinstance(value, TYPES[schema["type"]]):
        return False
    if isinstance(value, list):
        fixed = schema.get("prefixItems", [schema.get("items", {})] * len(value))
        long_enough = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9)
        return long_enough and all(
            not option or valid(item, option) for item, option in zip(value, fixed, strict=False)
        )
    return True


def test_there_are_operators():
    assert {"detrend", "remove_response", "rotate", "interpolate", "peak_motion",
            "waveform_fit"} <= set(OPERATORS)  # fmt: skip


@every_operator
def test_schema_is_json_and_complete(name):
    operator = OPERATORS[name]
    schema = json.loads(json.dumps(operator.schema()))
    assert schema["title"] == name and schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert len(schema["description"]) > 20 and "\n" not in schema["description"]
    assert set(schema["properties"]) == set(operator.options)
    for option, parameter in operator.options.items():
        described = schema["properties"][option]
        assert {"type", "enum", "anyOf"} & set(described), f"{option} has no type"
        assert (option in schema["required"]) == (parameter.default is parameter.empty)
        if option not in schema["required"]:
            assert valid(described["default"], described), option


@every_operator
def test_needs_and_gives_are_in_the_conventions(name):
    operator = OPERATORS[name]
    known = set(VARIABLES) | {"cc", "cc_best", "time_shift", "amplitude_ratio", "minimum",
                              "maximum"}  # fmt: skip
    assert operator.needs or len(operator.inputs) > 1  # then it looks at each by itself
    assert set(operator.needs) <= known
    assert set(operator.gives) <= known
    assert operator.inputs


@every_operator
def test_unknown_argument_names_the_call(name):
    operator = OPERATORS[name]
    ds = ces.testing.synthetic_windows()
    with pytest.raises(ParameterError, match=f"{name}: .*the call is {name}\\("):
        operator.function(*[ds] * len(operator.inputs), sampling=3)
    with pytest.raises(ParameterError, match="the call is"):
        operator.function()


@every_operator
def test_what_is_no_dataset_is_refused(name):
    operator = OPERATORS[name]
    ds = ces.testing.synthetic_windows()
    options = {"bandpass": {"freqmin": 1, "freqmax": 2}, "highpass": {"freq": 1},
               "lowpass": {"freq": 1}, "interpolate": {"sampling_rate": 1},
               "prefilter": {"pre_filt": (1, 2, 3, 4)}, "decimate": {"factor": 2},
               "event_windows": {"start": 0, "stop": 1}, "resample": {"sampling_rate": 1},
               "signal_to_noise": {"noise": (0, 1), "signal": (1, 2)},
               "select_windows": {"min_period": 1, "max_period": 2},
               "adjoint_source": {"min_period": 1, "max_period": 2},
               "time_frequency_misfit": {"fmin": 1, "fmax": 2}}.get(name, {})  # fmt: skip
    for wrong in (ds["counts"], xr.DataTree(), ds["counts"].values):
        with pytest.raises(SchemaError, match="give"):
            operator.function(*[wrong] * len(operator.inputs), **options)
    with pytest.raises(SchemaError):
        operator.function(*[xr.Dataset()] * len(operator.inputs), **options)


def chain(ds: xr.Dataset) -> xr.Dataset:
    return (
        ds.pipe(ces.detrend, type="constant").pipe(ces.taper)
        .pipe(ces.bandpass, freqmin=0.5, freqmax=5.0).pipe(ces.peak_motion, periods=[1, 2.0])
    )  # fmt: skip


def test_lineage_of_a_chain():
    ds = ces.testing.synthetic_windows(quantity="velocity")
    assert lineage.steps(ds) == []
    steps = lineage.steps(chain(ds))
    assert [step["operator"] for step in steps] == ["detrend", "taper", "bandpass", "peak_motion"]
    assert steps[0]["parameters"] == {"type": "constant", "order": None, "dspline": None}
    given = {"max_percentage": 0.05, "type": "hann", "max_length": None, "side": "both"}
    assert given.items() <= steps[1]["parameters"].items()
    assert steps[3]["parameters"]["periods"] == [1, 2.0]
    assert lineage.steps(ds) == []  # the input keeps no record of what was made from it


def test_lineage_is_pure():
    """The same steps give the same record, computed or not, today and tomorrow."""
    ds = ces.testing.synthetic_windows(quantity="velocity")
    records = {chain(x).attrs[lineage.ATTR] for x in (ds, ds, ds.compute(), ds.isel(station=[0]))}
    assert len(records) == 1


def test_lineage_can_be_run_again():
    ds = ces.testing.synthetic_windows(quantity="velocity")
    again = ds
    for step in lineage.steps(chain(ds)):
        again = OPERATORS[step["operator"]].function(again, **step["parameters"])
    xr.testing.assert_identical(again.compute(), chain(ds).compute())


def test_lineage_of_two_inputs():
    one = ces.testing.synthetic_windows(quantity="velocity")
    two = ces.detrend(ces.testing.synthetic_windows(quantity="velocity", seed=1))
    (step,) = lineage.steps(ces.waveform_fit(one, two))
    assert step["operator"] == "waveform_fit" and step["parameters"] == {"max_shift": 8.0}
    assert [[s["operator"] for s in history] for history in step["inputs"]] == [["detrend"]]


def test_parameters_become_plain_json():
    import numpy as np

    ds = ces.testing.synthetic_windows(quantity="velocity")
    (step,) = lineage.steps(ces.peak_motion(ds, periods=np.array([0.3, 1.0]), damping=np.float64(0.1)))  # fmt: skip  # noqa: E501
    assert step["parameters"]["periods"] == [0.3, 1.0] and step["parameters"]["damping"] == 0.1


def test_own_operator(monkeypatch):
    monkeypatch.setattr(registry, "OPERATORS", dict(OPERATORS))

    @registry.operator(needs="counts")
    def amplify(ds: xr.Dataset, *, gain: float = 2.0, mode: Literal["a", "b"] = "a") -> xr.Dataset:
        """Multiply the counts by a gain."""
        return ds.assign(counts=ds["counts"] * gain)

    ds = ces.testing.synthetic_windows()
    assert registry.OPERATORS["amplify"].schema()["properties"] == {
        "gain": {"type": "number", "default": 2.0}, "mode": {"enum": ["a", "b"], "default": "a"},
    }  # fmt: skip
    assert lineage.steps(amplify(ds))[0]["parameters"] == {"gain": 2.0, "mode": "a"}
    with pytest.raises(UnitsError, match="needs one of counts"):
        amplify(ces.testing.synthetic_windows(quantity="velocity"))


def test_input_that_may_be_left_out(monkeypatch):
    monkeypatch.setattr(registry, "OPERATORS", dict(OPERATORS))

    @registry.operator(needs="counts")
    def pick(ds: xr.Dataset, windows: xr.Dataset | None = None) -> xr.Dataset:
        """The counts, and whether there are windows."""
        return ds.assign_attrs(windows=windows is not None)

    ds = ces.testing.synthetic_windows()
    windows = xr.Dataset({"window_start": ("window", [0.0]), "window_end": ("window", [1.0])})
    assert registry.OPERATORS["pick"].inputs == ["ds", "windows"]
    without, given = pick(ds), pick(ds, windows)
    assert (without.attrs["windows"], given.attrs["windows"]) == (False, True)
    assert "inputs" not in lineage.steps(without)[0]
    assert lineage.steps(given)[0]["inputs"] == [[]]
    xr.testing.assert_identical(pick(ds, windows=windows), given)
    with pytest.raises(SchemaError, match="windows has no window_start and no window_end: give"):
        pick(ds, ds)
    with pytest.raises(SchemaError, match="windows is a DataArray"):
        pick(ds, windows["window_start"])
    with pytest.raises(SchemaError, match="ds is a NoneType: give a Dataset"):
        pick(None)


@pytest.mark.parametrize(
    "annotation, schema",
    [
        (bool, {"type": "boolean"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Sequence[float], {"type": "array", "items": {"type": "number"}}),
        (Iterable[str], {"type": "array", "items": {"type": "string"}}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (tuple[float, ...], {"type": "array", "items": {"type": "number"}}),
        (tuple[float, str], {"type": "array", "minItems": 2, "maxItems": 2,
                             "prefixItems": [{"type": "number"}, {"type": "string"}]}),
        (Literal["x", 3], {"enum": ["x", 3]}),
    ],
)  # fmt: skip
def test_json_type(annotation, schema):
    assert registry.json_type(annotation) == schema


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_wrong_units_are_refused_before_anything_is_read(quantity):
    ds = ces.testing.synthetic_windows(quantity=quantity)
    ds[quantity].attrs["units"] = "furlong"

    def fail(*_):
        raise AssertionError("computed")

    with dask.config.set(scheduler=fail), pytest.raises(UnitsError, match="convert the values"):
        ces.detrend(ds)


def test_of_a_tree_is_of_every_node():
    ds = ces.testing.synthetic_windows(quantity="velocity")
    slow = ces.decimate(ds, factor=4)
    tree = xr.DataTree.from_dict({"/100Hz": ds, "/25Hz": slow})
    filtered = ces.bandpass(tree, freqmin=0.5, freqmax=8.0)
    assert isinstance(filtered, xr.DataTree)
    expected = ces.bandpass(slow, freqmin=0.5, freqmax=8.0)
    xr.testing.assert_identical(filtered["25Hz"].to_dataset(), expected)
    fits = ces.waveform_fit(filtered, tree)
    assert set(fits.children) == {"100Hz", "25Hz"}
    with pytest.raises(SchemaError, match="give trees for all"):
        ces.waveform_fit(tree, ds)
    with pytest.raises(SchemaError, match="different nodes"):
        ces.waveform_fit(tree, xr.DataTree.from_dict({"/100Hz": ds}))
