"""Reading web server logs in Combined Log Format, as Apache and nginx write them, plain or gzipped.

    203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 203023 "https://referrer" "user agent"

What stands behind the byte count (referrer, user agent, whatever else a server was told to add) is not looked at, so
Common Log Format is read too.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from shared.metering.events import BYTES_MAX

YEARS = range(1970, 2200)
"""Other years are a broken clock; within these, moving a time from one end to the other stays a valid time."""

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(rf"(\S+) \S+ .*?\[([^\]]*)\] {_QUOTED} (\d{{3}}) (\d{{1,15}}|-)(?: .*)?", re.DOTALL | re.ASCII)
_REQUEST = re.compile(r"([A-Za-z]{1,32}) (\S+)(?: HTTP/[0-9.]+)?", re.ASCII)
_GZIP_MAGIC = b"\x1f\x8b"


class LogUnreadable(ValueError):
    """The file cannot be opened or unpacked; the message says why."""


class LineMalformed(ValueError):
    """The line is not in the format; the message says where."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One request, as a line of the log tells it. `address` is the client's as the server wrote it, IPv4, IPv6 or a
    host name. `method` and `path` are None when the client did not send an HTTP request line; `path` is without the
    query, which may hold secrets."""

    address: str
    time: datetime
    method: str | None
    path: str | None
    status: int
    response_bytes: int


def parse_line(text: str) -> LogLine:
    """Read one line. Raises LineMalformed."""
    match = _LINE.fullmatch(text)
    if match is None:
        raise LineMalformed("not in Combined Log Format")
    address, time, request, status, size = match.groups()
    if not 100 <= int(status) <= 599:
        raise LineMalformed(f"status {status} is not between 100 and 599")
    response_bytes = 0 if size == "-" else int(size)
    if response_bytes > BYTES_MAX:
        raise LineMalformed(f"{response_bytes} bytes are over {BYTES_MAX}")
    asked = _REQUEST.fullmatch(request)
    method, target = asked.groups() if asked else (None, None)
    path = None if target is None else target.partition("?")[0]
    return LogLine(address, _parse_time(time), method, path, int(status), response_bytes)


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z")
    except ValueError:
        raise LineMalformed(f"time {text!r} is not like 17/May/2015:10:05:03 +0000") from None
    if moment.year not in YEARS:
        raise LineMalformed(f"year {moment.year} is not between {YEARS[0]} and {YEARS[-1]}")
    return moment.astimezone(UTC)


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Read every line with its line feed, unpacked, counted from 1. Raises LogUnreadable."""
    try:
        with _opened(path) as stream:
            yield from enumerate(stream, 1)
    except OSError as error:  # BadGzipFile is one
        raise LogUnreadable(error.strerror or str(error)) from None
    except (EOFError, zlib.error) as error:
        raise LogUnreadable(f"the gzip data is damaged: {error}") from None


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    with path.open("rb") as stream:
        packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return gzip.open(path, "rb") if packed else path.open("rb")


def decode_line(raw: bytes) -> str:
    """Return the text of a line without its end. Bytes that are not UTF-8 become escapes, as web servers write them
    themselves."""
    return raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
