"""The parts of HTTP messages: headers on their way in and out, and the host's own problems."""

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from shared.kernel import telemetry
from shared.kernel.errors import Problem
from shared.kernel.http.problems import PROBLEM_CONTENT_TYPE, problem_document
from shared.kernel.ids import new_id

_FORBIDDEN_IN_NAME = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_FORBIDDEN_IN_VALUE = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
FRAMING = frozenset({b"connection", b"transfer-encoding", b"keep-alive", b"upgrade", b"content-length", b"date"})
"""The framing is this host's business, whatever a function says about it."""


class ResponseError(Exception):
    """A function's response cannot be sent as it is."""


@lru_cache(maxsize=1024)
def wire_name(name: str) -> bytes:
    """Write a header's name in lower case. Raises ResponseError."""
    if not name or _FORBIDDEN_IN_NAME.search(name):
        raise ResponseError(f"header name {name!r}")
    return name.lower().encode("ascii")


def wire_value(name: str, text: str) -> bytes:
    """Write a header's value. Raises ResponseError for what would end the header, and for what is not Latin-1."""
    if _FORBIDDEN_IN_VALUE.search(text):
        raise ResponseError(f"value of the header {name}")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise ResponseError(f"value of the header {name} is not Latin-1") from None


def parse_length(text: str) -> int:
    """Read a content-length. Raises ResponseError."""
    if not text.isascii() or not text.isdigit():
        raise ResponseError(f"content-length {text!r}")
    return int(text)


def problem_message(problem: Problem) -> tuple[dict[str, str], bytes]:
    """Make headers and body of a problem, with the request id that the function has set, if it came that far."""
    request_id = telemetry.current_request_id.get() or new_id("req")
    headers = {
        "content-type": PROBLEM_CONTENT_TYPE,
        "cache-control": "no-store",
        "x-ams-request-id": request_id,
        "x-ams-answered-by": "ams",
        **problem.headers,
    }
    return headers, msgspec.json.encode(problem_document(problem, request_id))


def internal_error() -> Problem:
    return Problem(500, "internal_error", "Something went wrong on our side.")


def too_large(bytes_max: int) -> Problem:
    return Problem(413, "request_too_large", f"A request body may have at most {bytes_max} bytes.")


def header_map(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Read header lines into one value per lower-case name; repeated lines are joined as RFC 9110 and RFC 6265 say."""
    joined: dict[str, str] = {}
    for name_bytes, value_bytes in headers:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        if name in joined:
            value = f"{joined[name]}{'; ' if name == 'cookie' else ', '}{value}"
        joined[name] = value
    return joined


def begin_head(status: int, default_headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Write the status line and the headers of every response, as parts to join."""
    head = [STATUS_LINE[status]]
    for name, value in default_headers:
        head += (name, b": ", value, b"\r\n")
    return head


def refusal(problem: Problem, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write the whole response to what is no request; the connection ends with it."""
    headers, body = problem_message(problem)
    head = begin_head(problem.status, default_headers)
    head += (f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items())
    head.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
    return b"".join([*head, body])
