"""One verb for all ways of staging."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from .fdsn import stage_fdsn
from .files import stage_files
from .sds import stage_sds
from .stage import Staged


def stage(
    archive: str | os.PathLike[str],
    *,
    fdsn: str | Sequence[str] | None = None,
    sds: str | os.PathLike[str] | None = None,
    files: str | Path | Sequence[str | Path] | None = None,
    **options: Any,
) -> Staged:
    """Stage raw bytes from data centres, an SDS archive, or files and URLs, as a new version.

    Parameters
    ----------
    archive
        Path or URL; made if it is not there.
    fdsn
        Data centres, see :func:`stage_fdsn`.
    sds
        Root of an SDS archive, see :func:`stage_sds`.
    files
        Files, folders, globs and URLs, see :func:`stage_files`.
    **options
        What that function takes besides.

    Raises
    ------
    ParameterError
        Unless just one of ``fdsn``, ``sds`` and ``files`` is given.

    Examples
    --------
    >>> done = stage("memory://doc-stage", files=pangeo_ces.samples.path("german_events/observed"))
    >>> done.stage, done.counts["new"]
    (1, 1)
    """
    if sum(source is not None for source in (fdsn, sds, files)) != 1:
        raise ParameterError("give one of fdsn=, sds= and files=")
    if fdsn is not None:
        return stage_fdsn(archive, fdsn, **options)
    if sds is not None:
        return stage_sds(archive, os.fspath(sds), **options)
    assert files is not None
    return stage_files(archive, files, **options)
