"""Sphinx: `make docs`."""

import importlib.metadata

project = "pangeo_ces"
author = "the pangeo_ces developers"
copyright = author
release = version = importlib.metadata.version("pangeo_ces")

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
root_doc = "index"

html_theme = "alabaster"
html_title = f"pangeo_ces {release}"
html_theme_options = {
    "description": "Seismic waveforms on xarray, Dask and Zarr",
    "page_width": "1100px",
}

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 2

autosummary_generate = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
