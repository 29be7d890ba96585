"""Keys made through the API, for the tests of keys."""

from typing import Any

import httpx

from tests.support.api.access_market import AccessMarket
from tests.support.api.harness import Person


async def create(market: AccessMarket, person: Person | None = None, **body: Any) -> httpx.Response:
    """A key of Ann's consumer for `maps`, by Ann, unless the body says otherwise."""
    document = {"name": "job", "service_ids": ["svc_maps"], **body}
    return await (person or market.ann).post(f"{market.consumer}/keys", json=document)


async def created(market: AccessMarket, **body: Any) -> dict[str, Any]:
    answer = await create(market, **body)
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["etag"]}


async def rotate(
    market: AccessMarket, key: dict[str, Any], person: Person | None = None, **body: Any
) -> httpx.Response:
    path = f"{market.consumer}/keys/{key['id']}/rotate"
    return await (person or market.ann).post(path, json=body, headers={"If-Match": key["etag"]})


async def read(market: AccessMarket, key: dict[str, Any]) -> dict[str, Any]:
    answer = await market.ann.get(f"{market.consumer}/keys/{key['id']}")
    assert answer.status_code == 200, answer.text
    return {**answer.json(), "etag": answer.headers["etag"]}


async def do(market: AccessMarket, key: dict[str, Any], verb: str, **body: Any) -> httpx.Response:
    return await market.ann.post(f"{market.consumer}/keys/{key['id']}/{verb}", json=body)
