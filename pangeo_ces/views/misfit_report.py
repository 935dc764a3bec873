"""One page for a run of the misfit recipe, that opens from disk without a network."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pangeo_ces.storage import write_bytes
from pangeo_ces.views.units import number

#: Rows of the table of pairs; the whole of it is in the tables beside the page.
_MOST_ROWS = 400
#: Narrower figures (inches) stand side by side.
_NARROW = 6.5
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 24px auto; max-width: 1120px;
       padding: 0 16px; color: #222; }
h1 { font-size: 24px; } h2 { font-size: 18px; margin-top: 32px; }
.row { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: flex-end; }
figure { margin: 12px 0 20px; max-width: 100%; } figure.small { max-width: 340px; }
figcaption { font-size: 13px; color: #555; }
img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: 3px 9px; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th.text, td.text { text-align: left; }
pre { background: #f6f6f6; padding: 10px; overflow-x: auto; font-size: 12.5px; }
"""


def write_misfit_report(
    path_or_url: str | os.PathLike[str],
    table: pd.DataFrame,
    figures: Mapping[str, Sequence[tuple[str, Figure]]],
    report: Mapping[str, Any],
) -> None:
    """Write the page: counts, medians, pictures, pairs, parameters.

    Parameters
    ----------
    path_or_url : str or path
        An ``.html`` file.
    table : pandas.DataFrame
        Of `to_misfit_table`.
    figures : mapping of str to sequence of (str, Figure)
        By heading: caption and figure.
    report : mapping
        ``counts``, ``notes``, ``rows``, ``unmatched``, ``parameters`` of the run.

    Examples
    --------
    >>> write_misfit_report("report.html", table, {"Maps": [("cc", figure)]}, report)
    ... # doctest: +SKIP
    """
    counts = ", ".join(f"{count} {name}" for name, count in report["counts"].items())
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Misfit</title><style>{_STYLE}</style></head><body>",
        f"<h1>Misfit of records and simulations</h1><p>{html.escape(counts)}</p>",
        *(f"<p>Note: {html.escape(note)}</p>" for note in report["notes"]),
        "<h2>Medians</h2>",
        _table(_medians(table)),
    ]
    for heading, pictures in figures.items():
        if pictures:
            parts.append(f"<h2>{html.escape(heading)}</h2>")
            images = "".join(_picture(caption, figure) for caption, figure in pictures)
            parts.append(f"<div class='row'>{images}</div>")
    parts += ["<h2>Pairs</h2>", _pairs(table)]
    problems = [f"{r['status']}: {r['trace'] or r['file']}: {r['reason']}" for r in report["rows"]]
    problems += [f"unmatched: {r['station']} of {r['event']}: {r['reason']}"
                 for r in report["unmatched"]]  # fmt: skip
    if problems:
        parts.append(f"<h2>Left out</h2><pre>{html.escape(chr(10).join(problems[:_MOST_ROWS]))}")
        more = len(problems) - _MOST_ROWS
        parts.append(f"{chr(10)}… and {more} more in report.json</pre>" if more > 0 else "</pre>")
    settings = json.dumps(report["parameters"], indent=2, ensure_ascii=False)
    parts.append(f"<h2>Parameters</h2><pre>{html.escape(settings)}</pre></body></html>\n")
    write_bytes(path_or_url, "\n".join(parts).encode())


def _picture(caption: str, figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    image = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(caption)
    small = " class='small'" if figure.get_figwidth() < _NARROW else ""
    return (
        f"<figure{small}><img alt='{text}' src='data:image/png;base64,{image}'>"
        f"<figcaption>{text}</figcaption></figure>"
    )


def _medians(table: pd.DataFrame) -> pd.DataFrame:
    """Median of every variable by model and component, of pairs without a fault."""
    good = table[table["status"] == "ok"]
    names = list(table.attrs["units"])
    grouped = good.groupby(["model", "component"], sort=False)
    return grouped[names].median().assign(pairs=grouped.size()).reset_index()


def _pairs(table: pd.DataFrame) -> str:
    """The pairs as a table, by event and distance."""
    names = ["model", "event", "network", "station", "channel", "component",
             "epicentral_distance_km", "status", *table.attrs["units"]]  # fmt: skip
    rows = table.sort_values(["model", "event", "epicentral_distance_km", "component"],
                             kind="stable")[names]  # fmt: skip
    rows = rows[~rows["status"].isin(["no_observed", "no_synthetic"])]
    text = _table(rows.head(_MOST_ROWS))
    if len(rows) > _MOST_ROWS:
        text += f"<p>{len(rows) - _MOST_ROWS} more in misfit.csv and misfit.parquet.</p>"
    return text


def _table(rows: pd.DataFrame) -> str:
    def kind(name: str) -> str:
        return "" if pd.api.types.is_numeric_dtype(rows[name]) else " class='text'"

    def cell(value: Any) -> str:
        if isinstance(value, int | float | np.number):
            return number(float(value)) if np.isfinite(value) else ""
        return html.escape(str(value))

    head = "".join(f"<th{kind(name)}>{html.escape(name)}</th>" for name in rows.columns)
    kinds = [kind(name) for name in rows.columns]
    body = "".join(
        "<tr>"
        + "".join(f"<td{k}>{cell(v)}</td>" for k, v in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows.itertuples(index=False)
    )
    return (f"<div class='scroll'><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>")  # fmt: skip
