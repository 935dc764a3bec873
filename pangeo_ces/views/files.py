"""Names of files, and figures as files."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pangeo_ces.errors import ParameterError
from pangeo_ces.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_FORMATS = (".png", ".pdf", ".svg")


def file_name(label: str) -> str:
    """A label as the name of a file or folder: no path, nothing hidden.

    >>> file_name("smi:local/ev/1"), file_name("../a"), file_name("GR.BFO..HH")
    ('smi_local_ev_1', '_a', 'GR.BFO..HH')
    """
    return re.sub(r"[^\w.+-]", "_", label).lstrip(".") or "_"


def file_suffix(path_or_url: str | os.PathLike[str], known: tuple[str, ...]) -> str:
    """Suffix of a path or URL, lower case, one of `known`."""
    suffix = Path(os.fspath(path_or_url)).suffix.lower()
    if suffix not in known:
        raise ParameterError(f"cannot write {suffix or 'no suffix'!r}; use {', '.join(known)}")
    return suffix


def write_figure(figure: Figure, path_or_url: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure as PNG, PDF or SVG, by the suffix.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What `plot_rapid_assessment`, `plot_section` and `plot_overlay` return.
    path_or_url : str or path
        Local path or fsspec URL.
    dpi : int, default 150
        Dots per inch of a PNG.

    Examples
    --------
    >>> write_figure(plot_rapid_assessment(tree), "assessment.png")  # doctest: +SKIP
    """
    suffix = file_suffix(path_or_url, FIGURE_FORMATS)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix[1:], dpi=dpi)
    write_bytes(path_or_url, buffer.getvalue())
