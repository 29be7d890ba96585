"""Which headers cross from consumer to upstream and back, and how a trace is continued."""

import os
import re
from collections.abc import Iterable, Mapping

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110 §7.6.1, with the obsolete ones still in use."""

_NOT_TO_UPSTREAM = HOP_BY_HOP | {"host", "content-length", "cookie", "expect", "forwarded", "traceparent", "via"}
_NOT_TO_CONSUMER = HOP_BY_HOP | {
    "content-length",
    "set-cookie",
    "set-cookie2",
    "server",
    "date",
    "alt-svc",
    "strict-transport-security",
    "clear-site-data",
}
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?",
    re.ASCII,
)


def _named_by_connection(headers: Iterable[tuple[str, str]]) -> set[str]:
    return {
        token.strip().lower() for name, value in headers if name.lower() == "connection" for token in value.split(",")
    }


def to_upstream(headers: Mapping[str, str]) -> dict[str, str]:
    """A consumer's headers without hop-by-hop ones, cookies, the AMS key, `X-AMS-*` and forwarding claims."""
    dropped = _NOT_TO_UPSTREAM | _named_by_connection(headers.items())
    if _continued(headers.get("traceparent")) is None:
        dropped |= {"tracestate"}  # it belongs to the trace that is not continued
    kept = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in dropped or lower.startswith(("x-ams-", "x-forwarded-")):
            continue
        if lower == "authorization" and bearer_keys(value):
            continue
        kept[name] = value
    return kept


def to_consumer(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """An upstream's headers without hop-by-hop ones, cookies, `X-AMS-*` and CORS grants; repeated ones joined."""
    pairs = list(headers)
    dropped = _NOT_TO_CONSUMER | _named_by_connection(pairs)
    kept: dict[str, str] = {}
    for name, value in pairs:
        lower = name.lower()
        if lower in dropped or lower.startswith(("x-ams-", "access-control-")):
            continue
        kept[lower] = f"{kept[lower]}, {value}" if lower in kept else value
    return kept


def bearer_keys(authorization: str) -> set[str]:
    """The AMS keys in an `Authorization` value, of which there is more than one only where the header was repeated;
    empty when it is somebody else's credential."""
    found = set()
    for credential in authorization.split(","):
        scheme, _, token = credential.strip().partition(" ")
        if scheme.lower() == "bearer" and token.strip().startswith("ams_"):
            found.add(token.strip())
    return found


def trace_of(traceparent: str | None) -> tuple[str, str]:
    """(trace id, flags) of a W3C `traceparent`, or of a new trace when there is none or it is not valid."""
    return _continued(traceparent) or (os.urandom(16).hex(), "00")


def _continued(traceparent: str | None) -> tuple[str, str] | None:
    match = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    # A later version may have more fields; this one must not (W3C Trace Context, versioning).
    if match is None or (match["version"] == "00" and match["more"]):
        return None
    return match["trace"], match["flags"]


def traceparent(trace_id: str, flags: str) -> str:
    """The header for the next hop: the same trace, a new parent."""
    return f"00-{trace_id}-{os.urandom(8).hex()}-{flags}"
