"""The Functions worker library, driven as the host drives it, in this process and without gRPC."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import azure_functions_runtime as runtime

from shared.platform.events import StreamEvent
from tests.runtime import messages
from tests.runtime.messages import ParameterBinding, RpcHttp, StatusResult, TypedData
from tests.support.paths import ROOT

ORIGIN = "https://ams.example"


class Response(NamedTuple):
    """What the host would send to the HTTP client. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Failed(Exception):
    """The worker reported a failed invocation; the host logs it, and retries where the function has a policy."""


class Worker:
    """A worker that has indexed the project's function_app.py. `functions` is what it told the host, by name."""

    def __init__(self, functions: Mapping[str, messages.RpcFunctionMetadata], capabilities: Mapping[str, str]) -> None:
        self.functions = functions
        self.capabilities = capabilities

    @classmethod
    async def start(cls) -> "Worker":
        init = SimpleNamespace(capabilities={}, function_app_directory=str(ROOT))
        started = await runtime.worker_init_request(_request(worker_init_request=init))
        _check(started.result)
        answer = await runtime.functions_metadata_request(_request())
        _check(answer.result)
        found = answer.function_metadata_results or []
        assert len({function.name for function in found}) == len(found)
        return cls({function.name: function for function in found}, started.capabilities)

    async def invoke(
        self, function: str, argument: str, data: TypedData, metadata: Mapping[str, TypedData] | None = None
    ) -> TypedData | None:
        """Raises Failed."""
        invocation = SimpleNamespace(
            invocation_id=str(uuid4()),
            function_id=self.functions[function].function_id,
            input_data=[ParameterBinding(name=argument, data=data)],
            trigger_metadata=dict(metadata or {}),
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = await runtime.invocation_request(_request(invocation_request=invocation))
        _check(answer.result)
        assert answer.invocation_id == invocation.invocation_id
        assert answer.output_data == []
        return answer.return_value

    async def http(
        self,
        function: str,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        """A request to `target`, path and query, whose route the host has matched to `params`."""
        request = RpcHttp(
            method=method,
            url=ORIGIN + target,
            # The host gives header names in lower case, no body when there is none, and no parameter without value.
            headers={"host": urlsplit(ORIGIN).netloc} | {name.lower(): text for name, text in (headers or {}).items()},
            params=dict(params or {}),
            query=dict(parse_qsl(urlsplit(target).query)),
            body=TypedData(bytes=body) if body else TypedData(),
        )
        returned = await self.invoke(function, "req", TypedData(http=request))
        assert returned is not None
        assert returned.WhichOneof("data") == "http"
        response: RpcHttp = returned.http
        assert response.body is not None
        lowered = {name.lower(): text for name, text in response.headers.items()}
        return Response(int(response.status_code), lowered, response.body.bytes)

    async def events(self, function: str, events: Sequence[StreamEvent]) -> None:
        """A batch of an Event Hubs trigger with cardinality many and data type binary. Raises Failed."""
        properties = [
            {
                "SequenceNumber": event.sequence_number,
                "Offset": event.offset,
                "PartitionKey": event.partition_key,
                "EnqueuedTimeUtc": f"{event.enqueued_at:%Y-%m-%dT%H:%M:%S.%f}Z",
            }
            for event in events
        ]
        returned = await self.invoke(
            function,
            "events",
            messages.collection_bytes([event.body for event in events]),
            {"SystemPropertiesArray": TypedData(json=json.dumps(properties))},
        )
        assert returned is None

    async def timer(self, function: str) -> None:
        """Raises Failed."""
        now = datetime.now(UTC).isoformat()
        due = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {"Last": now, "Next": now, "LastUpdated": now},
            "IsPastDue": False,
        }
        assert await self.invoke(function, "timer", TypedData(json=json.dumps(due))) is None


def _request(**message: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(**message), properties={"host": "127.0.0.1", "protos": messages})


def _check(result: StatusResult) -> None:
    if result.status != StatusResult.Success:
        assert result.exception is not None
        raise Failed(f"{result.exception.message}\n{result.exception.stack_trace}")
