"""Reading with ObsPy: its warnings caught, and kept from what it does not survive."""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable

import obspy

Report = Callable[[str, str], None]

_WARNINGS = threading.Lock()  # the warnings filter belongs to the whole process


def listen[Result](call: Callable[[], Result]) -> tuple[Result, list[str]]:
    """What a call returns, and what it warns of instead of printing it."""
    with _WARNINGS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    quiet = (DeprecationWarning, ResourceWarning, PendingDeprecationWarning)
    messages = (str(w.message) for w in caught if not issubclass(w.category, quiet))
    return result, list(dict.fromkeys(messages))


def read_obspy(content: bytes, form: str, samples: bool) -> tuple[list[obspy.Trace], list[str]]:
    """ObsPy's traces of bytes in a given format, and its warnings."""
    if form in ("GSE1", "GSE2"):
        check_gse(content)
    elif form in ("SAC", "SACXY"):
        content = without_distances(content, form)
    return listen(lambda: list(obspy.read(io.BytesIO(content), format=form, headonly=not samples)))


def check_gse(content: bytes) -> None:
    """Raise on GSE data that make ObsPy's decoder, written in C, run over its buffers."""
    for block in re.split(rb"(?m)^DAT[12]", content)[1:] if b"CM6" in content else ():
        data = re.split(rb"(?m)^CHK[12] ", block, maxsplit=1)[0]
        if not all(re.fullmatch(rb"[\w+ \t-]{0,80}", line) for line in data.splitlines()):
            raise ValueError("stray characters or too long a line among the data")


def without_distances(content: bytes, form: str) -> bytes:
    """A SAC file whose ``lcalda`` is false: from an absurd longitude ObsPy would subtract 360 for
    ever, to find a distance that is not needed here."""
    if form == "SAC":
        return content[:432] + bytes(4) + content[436:]
    lines = content.split(b"\n", 22)
    if len(lines) > 21:
        lines[21] = lines[21][:30] + b"         0" + lines[21][40:]
    return b"\n".join(lines)


def plain(error: BaseException) -> str:
    """The part of an error message that says what is wrong, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "Cannot open file/files" in str(error):
        return "it holds no waveforms"
    telling = [line for line in lines if not line.startswith("Encountered")] or [
        type(error).__name__
    ]
    return re.sub(r"^\w+\([\w ]*\): ", "", telling[0])[:200].rstrip(" .:")
