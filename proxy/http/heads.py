"""An answer's head in bytes.

Fields are text in ISO 8859-1 throughout the house, so every octet that a provider or a client
wrote comes out as it went in (RFC 9110 section 5.5).
"""

import functools
import re
import time
from collections.abc import Iterable
from http import HTTPStatus

from proxy.core.fields import Fields

END = b"\r\n"
CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

_BREAKS = re.compile("[\r\n\0]")


def decoded(raw: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return field lines as text in ISO 8859-1, in which every octet has its place."""
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])


def latin1(text: str) -> bytes:
    """Return a head's text as bytes; what ISO 8859-1 lacks, as UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


@functools.lru_cache(maxsize=256)
def status_line(status: int, reason: str) -> bytes:
    """Return the status line; an unknown status keeps the reason that the provider gave."""
    if not reason:
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = ""
    return latin1(f"HTTP/1.1 {status} {_BREAKS.sub(' ', reason)}\r\n")


def field_lines(fields: Fields | list[tuple[str, str]]) -> bytes:
    """Return field lines. A value cannot end its line: breaks in it become spaces."""
    text = "".join([f"{name}: {value}\r\n" for name, value in fields])
    if text.count("\r") != len(fields) or text.count("\n") != len(fields) or "\0" in text:
        clean = [(_BREAKS.sub(" ", name), _BREAKS.sub(" ", value)) for name, value in fields]
        text = "".join([f"{name}: {value}\r\n" for name, value in clean])
    return latin1(text)


@functools.lru_cache(maxsize=4)
def date_line(second: int) -> bytes:
    """Return the Date field of a Unix time in whole seconds (RFC 9110 section 5.6.7)."""
    moment = time.gmtime(second)
    day, month = _DAYS[moment.tm_wday], _MONTHS[moment.tm_mon - 1]
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}"
    return f"Date: {day}, {moment.tm_mday:02} {month} {moment.tm_year} {clock} GMT\r\n".encode()


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
