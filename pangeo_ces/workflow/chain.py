"""Chains of operators as data: in any order, for records, for synthetics, or for both.

A step has the form of a lineage record and a side::

    {"operator": "bandpass", "parameters": {"freqmin": 0.1, "freqmax": 2.0}, "side": "both"}

so that what a chain did can be read off its products and given to the next run.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xarray as xr

from ..errors import CesError, ParameterError
from ..process.quantity import to_motion
from ..process.response import prefilter
from .catalogue import operators as registered

SIDES = ("both", "observed", "synthetic")
#: Steps that make ground motion of counts; what is ground motion already keeps their band alone.
_INSTRUMENT = ("remove_response", "remove_sensitivity")


@dataclasses.dataclass(frozen=True)
class Step:
    """One operator and whom it is for."""

    operator: str
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    side: str = "both"


def parse(chain: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Steps from plain data.

    Parameters
    ----------
    chain
        ``operator`` (a registered one that keeps the waveform), ``parameters`` and ``side``
        (``both``, ``observed`` or ``synthetic``) of each step.

    Raises
    ------
    ParameterError
        For a step that cannot be; the message names it.

    Examples
    --------
    >>> parse([{"operator": "detrend", "side": "observed"}])
    [Step(operator='detrend', parameters={}, side='observed')]
    """
    known = _operators()
    steps = []
    if isinstance(chain, Mapping | str):
        raise ParameterError("a chain is a list of steps: put the step into [ ]")
    for number, given in enumerate(chain, start=1):
        if not (
            isinstance(given, Mapping)
            and {"operator"} <= set(given) <= {"operator", "parameters", "side"}
            and isinstance(given["operator"], str)
            and isinstance(given.get("parameters", {}), Mapping)
        ):
            raise ParameterError(
                f"step {number} of the chain is {given!r}: give operator, parameters and side"
            )
        step = Step(**given)
        if step.operator not in known:
            raise ParameterError(
                f"step {number} of the chain: no operator {step.operator!r} on waveforms: use one "
                f"of {', '.join(sorted(known))}"
            )
        if step.side not in SIDES:
            raise ParameterError(
                f"step {number} ({step.operator}): side {step.side!r}: use {', '.join(SIDES)}"
            )
        options = [*inspect.signature(known[step.operator]).parameters][1:]
        strange = sorted(set(step.parameters) - set(options))
        if strange:
            raise ParameterError(
                f"step {number} ({step.operator}) has no {', '.join(strange)}: use "
                f"{', '.join(options) or 'no parameters'}"
            )
        steps.append(step)
    return steps


def run(steps: Sequence[Step], ds: xr.Dataset, side: str) -> xr.Dataset:
    """The steps of one side, in order, lazily.

    A record that is ground motion already has no instrument to take off: of ``remove_response``
    it gets the ``pre_filt`` alone, of ``remove_sensitivity`` nothing.
    """
    known = _operators()
    for step in steps:
        if step.side not in ("both", side):
            continue
        if step.operator in _INSTRUMENT and "counts" not in ds:
            if step.parameters.get("pre_filt"):
                ds = prefilter(ds, pre_filt=step.parameters["pre_filt"])
            continue
        try:
            ds = known[step.operator](ds, **step.parameters)
        except CesError:
            raise
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"{step.operator} of the chain: {error}: check its parameters {step.parameters}"
            ) from error
    return ds


def _operators() -> dict[str, Callable[..., xr.Dataset]]:
    """What keeps the waveform, by name."""
    found = {
        name: entry.function
        for name, entry in registered().items()
        if len(entry.inputs) == 1 and ".products." not in entry.function.__module__
    }
    return found | {"to_motion": to_motion}
