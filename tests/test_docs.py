"""The documents agree with the code."""

import doctest
import importlib
import json
import pkgutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pangeo_ces
from pangeo_ces.conventions import VARIABLES, VERSION

ROOT = Path(__file__).parents[1]


def test_conventions_list_every_variable():
    text = (ROOT / "docs/conventions.md").read_text()
    assert text.startswith(f"# CES waveform conventions {VERSION}\n")
    for row in VARIABLES.values():
        dims = "as the waveform or product" if row.dims is None else ", ".join(row.dims) or "scalar"
        units, name = (f"`{x}`" if x else "" for x in (row.units, row.standard_name))
        assert f"| `{row.name}` | {units} | {dims} | {name} | {row.long_name} |" in text


def test_reference_lists_every_public_function():
    text = (ROOT / "docs/api.md").read_text()
    for name in pangeo_ces._PUBLIC:
        assert f".. autofunction:: {name}\n" in text


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebook_runs_and_is_stripped(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            source = "".join(line for line in cell["source"] if not line.startswith("%"))
            exec(compile(source, cell["id"], "exec"), scope)


def _modules():
    for module in pkgutil.walk_packages(pangeo_ces.__path__, "pangeo_ces."):
        if not module.name.endswith("__main__"):
            yield module.name


@pytest.mark.parametrize("name", ["pangeo_ces", *_modules()])
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    scope = {**vars(module), "np": np, "xr": xr, "Fraction": Fraction, "pangeo_ces": pangeo_ces}
    done = doctest.testmod(module, globs=scope, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert done.failed == 0
