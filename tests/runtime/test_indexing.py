"""The worker finds exactly our functions, and tells the host exactly these bindings."""

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from tests.runtime import messages
from tests.runtime.worker import ROOT, Worker

ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PAGE = ["GET", "HEAD"]
RESPONSE = {"direction": "OUT", "type": "http", "name": "$return"}


def _http(route: str, methods: list[str]) -> list[dict[str, Any]]:
    trigger = {"direction": "IN", "type": "httpTrigger", "name": "req"}
    return [{**trigger, "methods": methods, "authLevel": "ANONYMOUS", "route": route}, RESPONSE]


BINDINGS: dict[str, list[dict[str, Any]]] = {
    "aggregate_usage": [
        {
            "direction": "IN",
            "type": "eventHubTrigger",
            "name": "events",
            "dataType": "BINARY",
            "connection": "USAGE_HUB",
            "eventHubName": "%AMS_USAGE_HUB_NAME%",
            "cardinality": "MANY",
            "consumerGroup": "aggregate",
        }
    ],
    "consume": _http("api/consume", ["POST"]),
    "consume_path": _http("api/consume/{service}/{*path}", ANY_METHOD),
    "deliver_outbox": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "15 * * * * *",
            "runOnStartup": False,
            "useMonitor": False,
        }
    ],
    "derive_rollups": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "15 * * * * *",
            "runOnStartup": False,
            "useMonitor": False,
        }
    ],
    "downloads": _http("api/downloads/{*name}", ["GET"]),
    "close_months": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "0 10 * * * *",
            "runOnStartup": False,
            "useMonitor": True,
        }
    ],
    "evaluate_alerts": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "30 * * * * *",
            "runOnStartup": False,
            "useMonitor": False,
        }
    ],
    "file_invoices": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "5 * * * * *",
            "runOnStartup": False,
            "useMonitor": False,
        }
    ],
    "health_live": _http("api/health/live", ["GET"]),
    "health_ready": _http("api/health/ready", ["GET"]),
    "make_reports": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "45 * * * * *",
            "runOnStartup": False,
            "useMonitor": False,
        }
    ],
    "marketplace": _http("marketplace", PAGE),
    "marketplace_merchant": _http("marketplace/{merchant}", PAGE),
    "marketplace_service": _http("marketplace/{merchant}/{service}", PAGE),
    "marketplace_style": _http("marketplace.css", PAGE),
    "metrics": _http("api/metrics", ["GET"]),
    "notify_expiring_keys": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "0 0 6 * * *",
            "runOnStartup": False,
            "useMonitor": True,
        }
    ],
    "portal": _http("api/v1/{*route}", ANY_METHOD),
    "portal_docs": _http("api/docs/{*name}", PAGE),
    "publish_site": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "0 7 * * * *",
            "runOnStartup": False,
            "useMonitor": False,
        }
    ],
    "remind_unpaid": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "0 30 7 * * *",
            "runOnStartup": False,
            "useMonitor": True,
        }
    ],
    "reconcile_usage": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "0 30 2 * * *",
            "runOnStartup": False,
            "useMonitor": True,
        }
    ],
    "robots": _http("robots.txt", PAGE),
    "sitemap": _http("sitemap.xml", PAGE),
}


def test_exactly_these_functions_are_indexed(worker: Worker) -> None:
    assert sorted(worker.functions) == sorted(BINDINGS)


@pytest.mark.parametrize("name", sorted(BINDINGS))
def test_each_function_has_exactly_these_bindings(worker: Worker, name: str) -> None:
    assert [json.loads(binding) for binding in worker.functions[name].raw_bindings] == BINDINGS[name]


@pytest.mark.parametrize("name", sorted(BINDINGS))
def test_the_host_is_told_where_each_function_is(worker: Worker, name: str) -> None:
    function = worker.functions[name]

    assert (function.directory, function.script_file) == (str(ROOT), "function_app.py")
    assert function.language == "python"
    assert {binding.type for binding in function.bindings.values()} == {each["type"] for each in BINDINGS[name]}


def test_only_aggregation_is_retried_by_the_host_and_that_for_ever(worker: Worker) -> None:
    policies = {name: function.retry_options for name, function in worker.functions.items()}

    assert policies.pop("aggregate_usage") == messages.RpcRetryOptions(
        max_retry_count=-1,
        retry_strategy="exponential_backoff",
        minimum_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
    )
    assert set(policies.values()) == {None}


def test_bodies_come_as_raw_bytes_and_batches_as_collections(worker: Worker) -> None:
    assert worker.capabilities["RawHttpBodyBytes"] == "true"
    assert worker.capabilities["TypedDataCollection"] == "true"


def test_http_streaming_of_the_whole_app_stays_off(worker: Worker) -> None:
    # Some package that switches it on would turn every func.HttpRequest into another class.
    assert "HttpUri" not in worker.capabilities


def test_indexing_loads_no_web_framework_and_no_driver() -> None:
    code = (
        "import asyncio, sys\n"
        "from tests.runtime.worker import Worker\n"
        "asyncio.run(Worker.start())\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'fastapi', 'starlette', 'aiohttp'}))\n"
    )
    done = _run(code)

    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def _run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
