"""What a request's head must be, beyond what the parser checks."""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from shared.kernel.errors import Problem

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def malformed(detail: str) -> Problem:
    return Problem(400, "request_malformed", detail)


def check_head(version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> str:
    """Check the head of a request; returns the value of Host. Raises Problem 400."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise malformed("There must be one Host header.")
    if version == "1.0" and any(name == b"transfer-encoding" for name, _ in headers):
        raise malformed("HTTP/1.0 has no Transfer-Encoding.")
    host = hosts[0].decode("latin-1") if hosts else "localhost"
    if not _is_host(host):
        raise malformed("The Host header is not valid.")
    if not target.startswith((b"/", b"http://", b"https://")) or b"#" in target or not target.isascii():
        raise malformed("The request target is not valid.")
    return host


@lru_cache(maxsize=1024)
def _is_host(host: str) -> bool:
    """Whether URLs made of it mean what they say."""
    if len(host) > 255 or not _HOST.fullmatch(host):
        return False
    try:
        urlsplit(f"http://{host}/")
    except ValueError:
        return False
    return True


def origin_form(target: bytes) -> bytes:
    """Make `/path` of `http://host/path`: a proxy's form, which a server must take too (RFC 9112, 3.2.2)."""
    if target.startswith(b"/"):
        return target
    slash = target.find(b"/", target.index(b"//") + 2)
    return target[slash:] if slash >= 0 else b"/"


def peer_text(client: tuple[str, int] | None) -> str:
    """Write who called as Azure's front end does: `192.0.2.1:443`, `[2001:db8::1]:443`."""
    if client is None:
        return ""
    address, port = client
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
