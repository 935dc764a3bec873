"""What the services say of themselves: WADL, version, usage, errors."""

from __future__ import annotations

import datetime
from http import HTTPStatus
from xml.sax.saxutils import quoteattr

from .parameters import PARAMETERS, SERVICES, VERSION, Parameter


def wadl(service: str, base: str, authenticated: bool) -> str:
    """The service's description; clients such as ObsPy's read its parameters from here.

    Parameters
    ----------
    base
        URL of the service, as in ``http://127.0.0.1:8080/fdsnws/station/1``.
    authenticated
        Whether there is a ``queryauth``.
    """
    media = {
        "dataselect": "application/vnd.fdsn.mseed",
        "station": "application/xml",
        "event": "application/xml",
    }[service]
    names = ["query", "queryauth"] if authenticated and service == "dataselect" else ["query"]
    parameters = "".join(map(_parameter, PARAMETERS[service].values()))
    resources = ""
    for name in names:
        post = '<method name="POST"/>' if service != "event" else ""
        resources += (
            f'<resource path="{name}"><method name="GET" id="{name}"><request>{parameters}'
            f'</request><response status="200"><representation mediaType="{media}"/></response>'
            f"</method>{post}</resource>"
        )
    for name in _documents(service):
        resources += f'<resource path="{name}"><method name="GET"/></resource>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<application xmlns="http://wadl.dev.java.net/2009/02" '
        'xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f"<resources base={quoteattr(base + '/')}>{resources}</resources></application>\n"
    )


def _documents(service: str) -> tuple[str, ...]:
    more = ("catalogs", "contributors") if service == "event" else ()
    return ("version", "application.wadl", *more)


def _parameter(row: Parameter) -> str:
    default = ""
    if isinstance(row.default, bool):
        default = f' default="{str(row.default).lower()}"'
    elif isinstance(row.default, str | int | float):
        default = f' default="{row.default}"'
    options = "".join(f'<option value="{option}"/>' for option in row.options)
    return f'<param name="{row.name}" style="query" type="{row.xsd}"{default}>{options}</param>'


def usage(service: str) -> str:
    """The parameters of a service on a page of text."""
    lines = [f"fdsnws-{service} {VERSION}", "", "query?NAME=VALUE&…, with"]
    for row in PARAMETERS[service].values():
        name = f"{row.name} ({row.short})" if row.short else row.name
        lines.append(f"  {name:24} {'|'.join(row.options) or row.xsd.removeprefix('xs:')}")
    return "\n".join([*lines, "", "also: " + ", ".join(_documents(service)), ""])


def index(base: str) -> str:
    """The services, on a page of text."""
    return "".join(f"{base}/fdsnws/{service}/1/\n" for service in SERVICES)


def error_text(status: int, message: str, service: str, base: str, request: str) -> str:
    """An error as the FDSN specification has it.

    Parameters
    ----------
    base
        URL of the service, under which its usage is.
    request
        The URL that was asked for.
    """
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return (
        f"Error {status}: {HTTPStatus(status).phrase}\n\n{message}\n\n"
        f"Usage details are available from {base}/\n\nRequest:\n{request}\n\n"
        f"Request Submitted:\n{now}\n\nService version:\n"
        f"Service: fdsnws-{service}  version: {VERSION}\n"
    )
