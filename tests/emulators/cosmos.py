"""A peer that the Azure Cosmos DB SDK talks to over HTTP on loopback, with faults on demand.

It checks what the real service checks (signatures of requests, partition keys, sizes, limits) and charges request
units by the published model (`cosmos_charges`). Numbers are 64-bit floats, as in the service. Queries that use a path
outside the indexing policy are refused, so that a full scan cannot slip in unnoticed.
"""

import base64
import functools
import hashlib
import hmac
import itertools
import json
import time
import urllib.parse
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from tests.emulators import cosmos_charges as charges
from tests.emulators.cosmos_sql import BadQuery, parse, rewritten
from tests.emulators.cosmos_store import RANGES, PeerContainer, Refused

KEY = base64.b64encode(b"a key that opens nothing but this peer").decode()
PAGE_ITEMS_MAX = 1_000
_REQUEST_BYTES_MAX = 2 * 1024 * 1024 + 64 * 1024


@dataclass(frozen=True)
class Fault:
    """`throttle`: 429. `unavailable`: 503. `drop`: the connection ends before anything is done. `drop_after`: the
    request is carried out, and its answer lost."""

    kind: Literal["throttle", "unavailable", "drop", "drop_after"]
    retry_after_ms: int = 1


@dataclass
class Exchange:
    method: str
    operation: str
    status: int
    charge: float


@dataclass
class CosmosPeer:
    """`faults` meet the next requests to documents, one each; `always` meets all of them."""

    endpoint: str = ""
    clock: Callable[[], float] = time.time
    page_items_max: int = PAGE_ITEMS_MAX
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    clients: set[str] = field(default_factory=set)
    databases: dict[str, dict[str, PeerContainer]] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        segments = [urllib.parse.unquote(part) for part in request.rel_url.raw_path.split("/") if part]
        fault = None
        if len(segments) >= 5 and segments[4] == "docs":
            fault = self.always or (self.faults.popleft() if self.faults else None)
        if fault is not None and fault.kind != "drop_after":
            return self._fail(request, fault)
        try:
            self._authenticate(request, segments)
            response = self._route(request, segments, await request.read())
        except Refused as refused:
            headers = {"x-ms-substatus": str(refused.sub_status)} if refused.sub_status else {}
            response = _answer(refused.status, {"message": str(refused)}, charges.FAILED, headers)
        except BadQuery as bad:
            response = _answer(400, {"code": "BadRequest", "message": str(bad)}, charges.FAILED)
        self._record(request, response)
        return self._fail(request, fault) if fault is not None else response

    def _fail(self, request: web.Request, fault: Fault) -> web.Response:
        if fault.kind.startswith("drop"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault.kind == "throttle":
            response = _answer(
                429, {"code": "429"}, 0.0, {"x-ms-retry-after-ms": str(fault.retry_after_ms), "x-ms-substatus": "3200"}
            )
        else:
            response = _answer(503, {"code": "ServiceUnavailable"}, 0.0)
        self._record(request, response)
        return response

    def _record(self, request: web.Request, response: web.Response) -> None:
        self.clients.add(request.headers.get("x-ms-client-id", ""))
        charge = float(response.headers.get("x-ms-request-charge", 0))
        self.exchanges.append(Exchange(request.method, _kind(request), response.status, charge))

    def _authenticate(self, request: web.Request, segments: list[str]) -> None:
        """The signature covers method, resource and date; a client that signs an encoded name is refused."""
        named = len(segments) % 2 == 0
        kind = (segments[-2] if named else segments[-1]) if segments else ""
        link = "/".join(segments if named else segments[:-1])
        date = request.headers.get("x-ms-date", "")
        text = f"{request.method.lower()}\n{kind.lower()}\n{link}\n{date.lower()}\n\n"
        digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        expected = f"type=master&ver=1.0&sig={base64.b64encode(digest).decode()}"
        if urllib.parse.unquote(request.headers.get("Authorization", "")) != expected:
            raise Refused(401, f"The input authorization token can't serve the request for {link}")

    def _route(self, request: web.Request, segments: list[str], data: bytes) -> web.Response:
        # Every number is a double in the service: what does not fit one comes back changed.
        body = json.loads(data, parse_int=lambda digits: int(float(digits))) if data else None
        match segments:
            case []:
                return _answer(200, self._account(), 0.0)
            case ["dbs"]:
                self._create(self.databases, body["id"], dict)
                return _answer(201, {"id": body["id"], "_rid": body["id"]}, 0.0)
            case ["dbs", database]:
                _child(self.databases, database)
                return _answer(200, {"id": database, "_rid": database}, 0.0)
            case ["dbs", database, "colls"]:
                properties = {
                    "indexingPolicy": {"includedPaths": [{"path": "/*"}]},
                    **body,
                    "_rid": f"rid-{body['id']}",
                }
                make = functools.partial(PeerContainer, properties, lambda: self.clock())
                self._create(_child(self.databases, database), body["id"], make)
                return _answer(201, properties, 0.0)
            case ["dbs", database, "colls", name]:
                return _answer(200, _child(_child(self.databases, database), name).properties, 0.0)
            case ["dbs", database, "colls", name, *rest]:
                container = _child(_child(self.databases, database, 1003), name, 1003)
                return self._in_container(request, container, rest, body)
        raise Refused(404, "no such resource")

    @staticmethod
    def _create(parent: dict[str, Any], name: str, make: Callable[[], Any]) -> None:
        if name in parent:
            raise Refused(409, f"{name} exists")
        parent[name] = make()

    def _account(self) -> dict[str, Any]:
        region = [{"name": "Loopback", "databaseAccountEndpoint": self.endpoint}]
        return {
            "id": "peer",
            "_rid": "peer",
            "_dbs": "//dbs/",
            "media": "//media/",
            "addresses": "//addresses/",
            "writableLocations": region,
            "readableLocations": region,
            "enableMultipleWriteLocations": False,
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        }

    def _in_container(self, request: web.Request, container: PeerContainer, rest: list[str], body: Any) -> web.Response:
        if rest == ["pkranges"]:
            return _ranges(request)
        if rest == ["docs"]:
            return self._post(request, container, body)
        partition = _partition(request)
        if_match = request.headers.get("If-Match")
        match request.method, rest:
            case "GET", ["docs", id]:
                answer = container.read(partition, id)
            case "PUT", ["docs", id]:
                answer = container.replace(partition, id, body, if_match)
            case "PATCH", ["docs", id]:
                answer = container.patch(partition, id, body["operations"], if_match)
            case "DELETE", ["docs", id]:
                answer = container.delete(partition, id, if_match)
            case _:
                raise Refused(405, "method not allowed")
        return _answer(answer.status, answer.item, answer.charge)

    def _post(self, request: web.Request, container: PeerContainer, body: Any) -> web.Response:
        kind = _kind(request)
        if kind == "plan":
            return _answer(200, _plan(body["query"]), 0.0)
        if kind == "query":
            return self._query(request, container, body)
        partition = _partition(request)
        if kind == "batch":
            if (request.content_length or 0) > 2 * 1024 * 1024:
                raise Refused(413, "Request size is too large")
            status, results, charge = container.batch(partition, body)
            return _answer(status, results, charge)
        answer = (container.upsert if kind == "upsert" else container.create)(partition, body)
        return _answer(answer.status, answer.item, answer.charge)

    def _query(self, request: web.Request, container: PeerContainer, body: Any) -> web.Response:
        select = parse(body["query"], {p["name"]: p["value"] for p in body.get("parameters") or ()})
        container.check_indexed(select)
        if "x-ms-documentdb-partitionkey" in request.headers:
            scope: str | tuple[str, str] = _partition(request)
        elif (range_id := request.headers.get("x-ms-documentdb-partitionkeyrangeid")) is not None:
            scope = (RANGES[int(range_id)], RANGES[int(range_id) + 1])
        else:
            raise Refused(400, "The provided cross partition query can not be directly served by the gateway.", 1004)
        count = min(int(request.headers.get("x-ms-max-item-count") or PAGE_ITEMS_MAX), self.page_items_max)
        token = request.headers.get("x-ms-continuation")
        rows, following, charge = container.page(select, scope, count, token, json.dumps(body))
        headers = {} if following is None else {"x-ms-continuation": following}
        return _answer(200, {"_rid": "peer", "Documents": rows, "_count": len(rows)}, charge, headers)


def _child(parent: dict[str, Any], name: str, sub_status: int = 0) -> Any:
    """Sub-status 1003: it is the owner of the requested resource that is missing."""
    if name not in parent:
        raise Refused(404, f"{name} does not exist", sub_status)
    return parent[name]


def _kind(request: web.Request) -> str:
    headers = request.headers
    if headers.get("x-ms-cosmos-is-query-plan-request"):
        return "plan"
    if headers.get("x-ms-documentdb-isquery"):
        return "query"
    if headers.get("x-ms-cosmos-is-batch-request"):
        return "batch"
    return "upsert" if headers.get("x-ms-documentdb-is-upsert") else request.method.lower()


def _partition(request: web.Request) -> str:
    key = json.loads(request.headers.get("x-ms-documentdb-partitionkey", "null"))
    if not isinstance(key, list) or len(key) != 1 or not isinstance(key[0], str):
        raise Refused(400, "PartitionKey value must be supplied for this operation.")
    return key[0]


def _plan(sql: str) -> dict[str, Any]:
    ordering = sql.partition(" ORDER BY ")[2].split()
    return {
        "partitionedQueryExecutionInfoVersion": 2,
        "queryInfo": {
            "distinctType": "None",
            "orderBy": [] if not ordering else ["Descending" if ordering[1] == "DESC" else "Ascending"],
            "orderByExpressions": ordering[:1],
            "groupByExpressions": [],
            "aggregates": [],
            "rewrittenQuery": rewritten(sql) if ordering else "",
            "hasSelectValue": False,
        },
        "queryRanges": [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}],
    }


def _ranges(request: web.Request) -> web.Response:
    if request.headers.get("If-None-Match") == '"ranges"':
        return web.Response(status=304, headers={"etag": '"ranges"'})
    ranges = [
        {"id": str(index), "_rid": f"range{index}", "minInclusive": low, "maxExclusive": high, "parents": []}
        for index, (low, high) in enumerate(itertools.pairwise(RANGES))
    ]
    body = {"_rid": "peer", "PartitionKeyRanges": ranges, "_count": len(ranges)}
    return _answer(200, body, 0.0, {"etag": '"ranges"'})


def _answer(status: int, body: Any, charge: float, headers: Mapping[str, str] | None = None) -> web.Response:
    etag = {"etag": body["_etag"]} if isinstance(body, dict) and "_etag" in body else {}
    sent = {"x-ms-request-charge": f"{charge:.2f}", **etag, **(headers or {})}
    if body is None:
        return web.Response(status=status, headers=sent)
    return web.json_response(body, status=status, headers=sent)


@asynccontextmanager
async def run_cosmos(clock: Callable[[], float] = time.time) -> AsyncIterator[CosmosPeer]:
    """A peer without databases on a free port of loopback."""
    peer = CosmosPeer(clock=clock)
    app = web.Application(client_max_size=_REQUEST_BYTES_MAX)
    app.router.add_route("*", "/{path:.*}", peer.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        peer.endpoint = f"http://127.0.0.1:{port}/"
        yield peer
    finally:
        await runner.cleanup()
