"""Reading with ObsPy, and what to do with miniSEED on which ObsPy gives up."""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator

import obspy

Report = Callable[[str, str], None]

_RECORD = re.compile(rb"[0-9 \0]{6}[DRQM][ \0]")
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


def _records(content: bytes) -> Iterator[tuple[int, int]]:
    """Offset and length of whatever looks like a miniSEED 2 data record."""
    offset = 0
    while match := _RECORD.search(content, offset):
        start = match.start()
        length = record_length(content[start : start + 4096])
        if length == 0:
            offset = start + 1
            continue
        if length < 0:  # no blockette 1000: the record lasts until the next one
            after = (m.start() for m in _RECORD.finditer(content, start + 128))
            following = next((o for o in after if record_length(content[o : o + 4096])), None)
            length = (following or len(content)) - start
        yield start, length
        offset = start + length


def record_length(record: bytes) -> int:
    """Length in bytes; -1 where the record does not tell; 0 if this is no record."""
    for order in ("big", "little"):

        def number(at: int, order=order) -> int:
            return int.from_bytes(record[at : at + 2], order)

        if len(record) >= 48 and 1900 <= number(20) <= 2100 and 1 <= number(22) <= 366:
            if record[24] > 23 or record[25] > 59 or record[26] > 60:
                return 0
            at = number(46)
            while 48 <= at <= len(record) - 8:
                if number(at) == 1000:
                    return 1 << record[at + 6] if 7 <= record[at + 6] <= 20 else -1
                if not at < number(at + 2):  # a chain must move on, or it would never end
                    return -1
                at = number(at + 2)
            return -1
    return 0


def salvage(content: bytes, samples: bool, report: Report) -> list[obspy.Trace]:
    """Read miniSEED record by record, and what is good in one go."""
    good, end = [], 0
    for start, length in _records(content):
        if start > end:
            report("", f"bytes {end} to {start - 1} are no miniSEED record: skipped")
        end = min(start + length, len(content))
        record = content[start:end]
        try:
            if len(record) < length:
                raise ValueError("cut short")
            if any("integrity check" in m for m in read_obspy(record, "MSEED", samples=True)[1]):
                raise ValueError("check value differs")
            good.append(record)
        except Exception as error:
            leap = len(record) > 26 and record[26] == 60
            why = "starts within a leap second" if leap else plain(error)
            report("", f"record at byte {start}: {why}: skipped")
    if end < len(content):
        report("", f"bytes {end} to {len(content) - 1} are no miniSEED record: skipped")
    return read_obspy(b"".join(good), "MSEED", samples)[0] if good else []


def plain(error: BaseException) -> str:
    """The part of an error message that says what is wrong, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "Cannot open file/files" in str(error):
        return "it holds no waveforms"
    telling = [line for line in lines if not line.startswith("Encountered")] or [
        type(error).__name__
    ]
    return re.sub(r"^\w+\([\w ]*\): ", "", telling[0])[:200].rstrip(" .:")
