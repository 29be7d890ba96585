"""Links to blobs that this host serves itself, for stores without signed links of their own.

    {public_url}/api/downloads/{name}?expires=…&filename=…&content_type=…&signature=…

The signature is an HMAC-SHA256 over all of it. Whoever holds a link can read that one blob until it expires.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from shared.kernel.clock import utc_now
from shared.platform.blobs import check_name

PATH = "/api/downloads/"
EXPIRES_S_MAX = 24 * 3600
_FILENAME = re.compile(r"[A-Za-z0-9._ -]{1,150}").fullmatch
_CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,100}(?:; charset=utf-8)?").fullmatch
_DIGITS = re.compile(r"[0-9]{1,12}").fullmatch


class LinkInvalid(Exception):
    """Not a link that was given out, or one that was changed."""


class LinkExpired(Exception):
    """It was right, but its time is over."""


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link leads to. Without `content_type`, the blob's own holds."""

    name: str
    filename: str
    content_type: str


def check_link(expires_s: int, filename: str, content_type: str | None) -> None:
    """Raises ValueError for more than a day, and for what could not stand in a header as it is."""
    if not 1 <= expires_s <= EXPIRES_S_MAX:
        raise ValueError(f"a link lives 1 to {EXPIRES_S_MAX} seconds, not {expires_s}")
    if not _FILENAME(filename):
        raise ValueError(f"file name {filename!r} must be 1 to 150 characters of A-Z a-z 0-9 . _ - and spaces")
    if content_type is not None and not _CONTENT_TYPE(content_type):
        raise ValueError(f"content type {content_type!r} must be like text/csv, in lower case")


def disposition(filename: str) -> str:
    """A `Content-Disposition` that saves and never shows: what is downloaded runs in nobody's browser."""
    return f'attachment; filename="{filename}"'


class LocalLinks:
    """`load` reads the secret that links are signed with, each time: with another one, all older links end.
    `public_url` has no slash at its end."""

    def __init__(
        self, load: Callable[[], Awaitable[str]], public_url: str, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._load = load
        self._public_url = public_url
        self._now = now

    async def url(self, name: str, expires_s: int, filename: str, content_type: str | None) -> str:
        """Raises ValueError."""
        check_link(expires_s, filename, content_type)
        linked = Linked(check_name(name), filename, content_type or "")
        expires = int(self._now().timestamp()) + expires_s
        query = {"expires": expires, "filename": filename, "content_type": linked.content_type}
        signature = _signature(await self._load(), linked, expires)
        return f"{self._public_url}{PATH}{name}?{urlencode({**query, 'signature': signature})}"

    async def check(self, name: str, query: Mapping[str, str]) -> Linked:
        """What a link leads to. Raises LinkInvalid, LinkExpired."""
        expires, signature = query.get("expires", ""), query.get("signature", "")
        linked = Linked(name, query.get("filename", ""), query.get("content_type", ""))
        if not _DIGITS(expires) or not signature.isascii():
            raise LinkInvalid
        if not hmac.compare_digest(_signature(await self._load(), linked, int(expires)), signature):
            raise LinkInvalid
        if self._now().timestamp() >= int(expires):
            raise LinkExpired
        return linked


def _signature(secret: str, linked: Linked, expires: int) -> str:
    # No part can hold a line feed in a link that was given out, so no two links share one text.
    text = f"ams-download-1\n{linked.name}\n{expires}\n{linked.filename}\n{linked.content_type}"
    return hmac.digest(secret.encode(), text.encode("utf-8", "surrogatepass"), "sha256").hex()
