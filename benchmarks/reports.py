"""Usage reports as the Python load generators send them; report.lua writes the same for wrk."""

import json

from benchmarks.market import SERVICE
from benchmarks.open_loop import Request

_DATA = {
    "requests": 1,
    "request_bytes": 512,
    "response_bytes": 20480,
    "response_time_ms": 42.5,
    "status_code": 200,
    "metadata": {"method": "GET", "path": "/a/b/c"},
}


def _event(id: str) -> dict[str, object]:
    attributes = {"specversion": "1.0", "type": "ams.usage.v1", "source": "bench/host", "subject": SERVICE}
    return {**attributes, "id": id, "data": _DATA}


def single_report(prefix: str) -> Request:
    """One event; its id is `prefix` and the request's."""
    body = json.dumps(_event(f"{prefix}-%(id)s"))
    return Request("POST /api/consume", body, "application/cloudevents+json", 202)


def batch_report(events: int, prefix: str) -> Request:
    """`events` events; their ids are `prefix`, the request's and a number."""
    body = json.dumps([_event(f"{prefix}-%(id)s-{number}") for number in range(events)])
    return Request("POST /api/consume", body, "application/cloudevents-batch+json", 202)
