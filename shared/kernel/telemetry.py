"""Metrics (Prometheus) and logs (JSON lines). Never a key, a secret or a body in either.

Metrics are module-level objects, as prometheus_client wants them. With several processes, the host sets
`PROMETHEUS_MULTIPROC_DIR` before anything is imported, and `render_metrics` merges what all processes wrote there.
"""

import json
import logging
import os
import sys
from contextvars import ContextVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

from shared.kernel.clock import format_time, utc_now

# prometheus_client asks for the process id at every increment, in case the process was forked: a system call, 5 % of a
# usage report. Nothing here forks; the host starts its processes afresh.
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    _PROCESS_ID = os.getpid()
    values.ValueClass = values.MultiProcessValue(lambda: _PROCESS_ID)  # type: ignore[no-untyped-call]  # untyped there

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

CONSUME_REQUESTS = Counter("ams_consume_requests", "Consume calls by way in and outcome", ["way", "outcome"])
CONSUME_SECONDS = Histogram("ams_consume_seconds", "Consume latency by way in", ["way"], buckets=LATENCY_BUCKETS_S)
UPSTREAM_SECONDS = Histogram("ams_upstream_seconds", "Time until the upstream's headers", buckets=LATENCY_BUCKETS_S)
EVENTS_ACCEPTED = Counter("ams_usage_events_accepted", "Usage events taken onto the stream", ["way"])
EVENTS_COUNTED = Counter("ams_usage_events_counted", "Usage events counted for the first time")
EVENTS_DUPLICATE = Counter("ams_usage_events_duplicate", "Usage events that were known already")
EVENTS_PARKED = Counter("ams_usage_events_parked", "Usage events put aside, by reason", ["reason"])
AGGREGATE_SECONDS = Histogram("ams_aggregate_batch_seconds", "Time to apply one batch", buckets=LATENCY_BUCKETS_S)
RECONCILE_DIFFERENCES = Counter("ams_reconcile_differences", "Counters that differed from their records")
SPOOL_EVENTS = Gauge("ams_spool_events", "Events waiting in the spool", multiprocess_mode="livesum")
STREAM_LAG_EVENTS = Gauge("ams_stream_lag_events", "Events not yet aggregated", multiprocess_mode="mostrecent")
STREAM_LAG_SECONDS = Gauge(
    "ams_stream_lag_seconds", "Age of the oldest event not yet aggregated", multiprocess_mode="mostrecent"
)
COSMOS_REQUEST_UNITS = Counter("ams_cosmos_request_units", "Request units charged", ["container", "operation"])
COSMOS_THROTTLED = Counter("ams_cosmos_throttled", "Cosmos DB answers 429 that were waited for")
OUTBOX_RETRIES = Counter("ams_outbox_retries", "Outbox tasks that were left over and tried again")
OUTBOX_DEAD = Counter("ams_outbox_dead", "Outbox tasks that were given up")

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST


def render_metrics() -> bytes:
    """The Prometheus text exposition of this process, or of all processes of the host."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client is untyped here
    return generate_latest(registry)


current_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)

_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, trace_id, and what was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": format_time(utc_now()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, variable in (("request_id", current_request_id), ("trace_id", trace_id)):
            if value := variable.get():
                line[name] = value
        line.update({k: v for k, v in vars(record).items() if k not in _RESERVED and k not in line})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_json(level: str) -> None:
    """Send every log of this process to standard error as JSON lines. `level` is a logging level's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("azure", "uamqp", "aiosqlite"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
