"""Object storage: what a URL needs to be read and written, for files and for stores.

Asked in this order: Dask's configuration under ``ces.storage``, by prefix of the URL; the standard
environment (``AWS_…``, ``AZURE_STORAGE_…``, ``STORAGE_EMULATOR_HOST``); the profiles of AWS.  None
of this is secret.  Secrets are found by the clients themselves, in the environment, in profiles and
from the machine's role, where a task runs: they are in no option, graph, report or error.
"""

from __future__ import annotations

from .faults import Patience, has_bucket, is_away, is_of_client, kind_of, reason
from .files import file_system, open_url, options
from .settings import Place, Settings, current, place, using
from .whole import write_bytes

__all__ = [
    "Patience", "Place", "Settings", "current", "file_system", "has_bucket", "is_away",
    "is_of_client", "kind_of", "open_url",
    "options", "place", "reason", "using", "write_bytes",
]  # fmt: skip
