"""Static STAC catalogues of stores and archives: built, searched, and opened as lazy data."""

from .build import Built, build_catalog
from .search import Catalog, Found, open_catalog

__all__ = ["Built", "Catalog", "Found", "build_catalog", "open_catalog"]
