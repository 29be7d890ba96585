"""The baseline: usage events into PostgreSQL, each once, with an hourly counter in the same transaction.

Written as well as we can: one prepared statement and one round trip a request, arrays instead of a statement per row,
bodies validated straight from their bytes, keys hashed and cached, uvloop and httptools.
"""

import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

KEY_CACHE_S = 30.0
EVENTS_PER_BATCH_MAX = 1_000
Text = Annotated[str, Field(min_length=1, max_length=128)]
Count = Annotated[int, Field(ge=0)]

# One statement, so one transaction and one round trip: the counters add up only what was new. Rows of counters are
# locked in one order, so that two batches cannot wait for each other.
INSERT = """
WITH new AS (
    INSERT INTO usage_events (consumer_id, api_key_id, source, id, service, time, requests, request_bytes,
                              response_bytes, response_time_ms, status_code, metadata)
    SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[], $8::bigint[],
                                 $9::bigint[], $10::float8[], $11::int[], $12::text[])
    ON CONFLICT DO NOTHING
    RETURNING service, date_trunc('hour', time) AS hour, requests, request_bytes, response_bytes
)
INSERT INTO usage_counters AS c (api_key_id, service, hour, events, requests, request_bytes, response_bytes)
SELECT $2, service, hour, count(*), sum(requests), sum(request_bytes), sum(response_bytes)
FROM new GROUP BY service, hour ORDER BY service, hour
ON CONFLICT (api_key_id, service, hour) DO UPDATE SET
    events = c.events + excluded.events,
    requests = c.requests + excluded.requests,
    request_bytes = c.request_bytes + excluded.request_bytes,
    response_bytes = c.response_bytes + excluded.response_bytes
"""


class UsageData(BaseModel):
    model_config = ConfigDict(extra="forbid")

    requests: Count = 1
    request_bytes: Count = 0
    response_bytes: Count = 0
    response_time_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    status_code: Annotated[int, Field(ge=100, le=599)] | None = None
    metadata: dict[str, Any] | None = None


class UsageEvent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    specversion: str
    type: str
    source: Text
    id: Text
    subject: Text
    time: AwareDatetime | None = None
    data: UsageData = UsageData()


class Key(BaseModel):
    """Who sends, and what for."""

    id: str
    consumer_id: str
    services: frozenset[str]


_one = TypeAdapter(UsageEvent)
_batch = TypeAdapter(list[UsageEvent])
_keys: dict[str, tuple[float, Key]] = {}


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    size = int(os.environ["BASELINE_POOL"])
    async with asyncpg.create_pool(os.environ["BASELINE_DSN"], min_size=size, max_size=size) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan, openapi_url=None)


def hash_key(clear: str) -> str:
    return hashlib.sha256(clear.encode()).hexdigest()


async def _current_key(request: Request, x_ams_key: Annotated[str, Header()]) -> Key:
    hashed = hash_key(x_ams_key)
    cached = _keys.get(hashed)
    if cached is not None and cached[0] > time.monotonic():
        return cached[1]
    row = await request.app.state.pool.fetchrow(
        "SELECT id, consumer_id, services FROM api_keys WHERE hash = $1 AND active", hashed
    )
    if row is None:
        raise HTTPException(401, "unknown API key")
    key = Key(id=row["id"], consumer_id=row["consumer_id"], services=frozenset(row["services"]))
    _keys[hashed] = (time.monotonic() + KEY_CACHE_S, key)
    return key


CurrentKey = Annotated[Key, Depends(_current_key)]


@app.post("/events")
async def report_one(request: Request, key: CurrentKey) -> Response:
    """One usage event; 202 when it is committed."""
    try:
        event = _one.validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_context=False)) from None
    return await _store(request, key, [event])


@app.post("/events/batch")
async def report_batch(request: Request, key: CurrentKey) -> Response:
    """Up to 1,000 usage events; 202 when all are committed."""
    try:
        events = _batch.validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_context=False)) from None
    if len(events) > EVENTS_PER_BATCH_MAX:
        raise HTTPException(413, "too many events")
    return await _store(request, key, events)


async def _store(request: Request, key: Key, events: Sequence[UsageEvent]) -> Response:
    for event in events:
        if event.subject not in key.services:
            raise HTTPException(403, f"no access to {event.subject}")
    now = datetime.now(UTC)
    data = [event.data for event in events]
    await request.app.state.pool.execute(
        INSERT,
        key.consumer_id,
        key.id,
        [event.source for event in events],
        [event.id for event in events],
        [event.subject for event in events],
        [event.time or now for event in events],
        [item.requests for item in data],
        [item.request_bytes for item in data],
        [item.response_bytes for item in data],
        [item.response_time_ms for item in data],
        [item.status_code for item in data],
        [None if item.metadata is None else json.dumps(item.metadata) for item in data],
    )
    return Response(b'{"accepted":%d}' % len(events), 202, media_type="application/json")


@app.get("/health")
async def health(request: Request) -> Response:
    """200 when the database answers."""
    await request.app.state.pool.fetchval("SELECT 1")
    return Response(status_code=200)
