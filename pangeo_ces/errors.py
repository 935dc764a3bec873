"""Errors a user can meet.  Every message ends with what to do about it."""

from __future__ import annotations


class CesError(Exception):
    """Root of all errors of this package; catch it to catch them all."""


class InputError(CesError, ValueError):
    """A file, URL or metadata document cannot be used."""


class FormatError(InputError):
    """The bytes are not, or not wholly, in the format they claim."""


class DamageError(FormatError):
    """Samples that headers promise cannot be decoded."""


class StoreError(CesError):
    """A store cannot be opened, is incomplete, or would be overwritten."""


class SchemaError(CesError, ValueError):
    """A Dataset does not follow the waveform conventions."""


class UnitsError(SchemaError):
    """An operator got a quantity it is not defined for."""


class AxisError(CesError, ValueError):
    """Two time axes differ, or a selection falls between samples."""


class ParameterError(CesError, ValueError):
    """An argument is out of its range."""


class ConfigError(CesError):
    """The configuration names something that does not exist."""


class ClusterError(CesError):
    """A cluster cannot be started, or was lost while it computed."""
