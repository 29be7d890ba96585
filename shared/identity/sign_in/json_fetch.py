"""Fetching small JSON documents of key sets: bounded in size and time, and plain in what can go wrong."""

import json
from typing import Any

from shared.platform.upstream import Upstream, UpstreamRequest

FETCH_S = 5.0
BODY_BYTES_MAX = 256 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "AMS"}


class FetchFailed(Exception):
    """The server did not give what was asked for. The message is for the log."""


async def fetch_json(http: Upstream, url: str) -> dict[str, Any]:
    """Fetch the JSON object at `url`. `http` may call any address, so the URL must be the operator's choice, or
    checked. Raises FetchFailed, UpstreamError."""
    response = await http.send(UpstreamRequest("GET", url, dict(_HEADERS), None, None, FETCH_S))
    body = bytearray()
    try:
        if response.status != 200:
            raise FetchFailed(f"status {response.status} from {url}")
        async for chunk in response.chunks():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise FetchFailed(f"over {BODY_BYTES_MAX} bytes from {url}")
    finally:
        response.close()
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise FetchFailed(f"no JSON object from {url}")
    return document
