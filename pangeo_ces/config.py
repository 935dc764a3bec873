"""Configuration: Dask's, under the key ``ces`` (defaults and comments in ``ces.yaml``)."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import dask.config
import yaml
from dask.utils import parse_bytes

from .errors import ConfigError

defaults: dict[str, Any] = yaml.safe_load(files("pangeo_ces").joinpath("ces.yaml").read_text())
dask.config.update_defaults(defaults)


def get(key: str) -> Any:
    """A setting, as in ``get("cluster")``.

    Raises
    ------
    ConfigError
        When there is no such setting.
    """
    try:
        return dask.config.get(f"ces.{key}")
    except KeyError:
        raise ConfigError(
            f"no setting ces.{key}: the known ones are {', '.join(sorted(defaults['ces']))}"
        ) from None


def get_bytes(key: str) -> int:
    """A setting that is a size, in bytes."""
    try:
        return parse_bytes(get(key))
    except ValueError as error:
        raise ConfigError(f"ces.{key}: {error}; write a size as 64MiB") from None
