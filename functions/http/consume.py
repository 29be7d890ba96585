"""Consume, the hot path: usage reports in, or a call forwarded. Native triggers, no web framework."""

import logging
import re
import time
from collections.abc import Mapping
from functools import cache
from urllib.parse import urlsplit

import azure.functions as func
import msgspec
from prometheus_client import Counter

from functions.http.streaming import StreamedRequest, StreamedResponse, body_chunks, complete, streams_body
from shared.bootstrap import application
from shared.kernel import telemetry
from shared.kernel.errors import Problem, Unavailable
from shared.kernel.http.problems import PROBLEM_CONTENT_TYPE, problem_document, unavailable
from shared.kernel.ids import new_id
from shared.metering.consume.call import CLIENT_CLOSED_REQUEST, Call, ForwardedAnswer
from shared.metering.consume.headers import trace_of
from shared.metering.consume.ingest import UsageReportReceipt
from shared.metering.consume.parsing import RejectedEvent, ReportKind, report_kind

blueprint = func.Blueprint()

_ROUTE = re.compile("/consume/", re.IGNORECASE)  # as routes are matched
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_logger = logging.getLogger(__name__)
NO_HEADERS: Mapping[str, str] = {}
_LATENCY = {way: telemetry.CONSUME_SECONDS.labels(way) for way in ("report", "forward")}


@cache  # outcomes are our own codes, so this stays small
def _outcome_counter(way: str, outcome: str) -> Counter:
    return telemetry.CONSUME_REQUESTS.labels(way, outcome)


@blueprint.function_name("consume")
@blueprint.route("api/consume", methods=["POST"])
@streams_body
async def consume(req: func.HttpRequest) -> func.HttpResponse:
    """Take a usage report or forward a call. A usage report by its content type; else a call to the service named in
    X-AMS-Service."""
    kind = report_kind(req.headers.get("content-type"))
    if kind is None:
        return await _Exchange(req, "forward").forward(req.headers.get("x-ams-service"), "")
    return await _Exchange(req, "report").report(kind)


@blueprint.function_name("consume_path")
@blueprint.route("api/consume/{service}/{*path}", methods=_METHODS)
@streams_body
async def consume_path(req: func.HttpRequest) -> func.HttpResponse:
    """Forward a call to a service, with any method and path below it."""
    # From the URL, not from the route: forwarding needs the path byte for byte, still percent-encoded.
    *_, rest = _ROUTE.split(urlsplit(req.url).path, maxsplit=1)
    service, _, path = rest.partition("/")
    return await _Exchange(req, "forward").forward(service, path)


class _Exchange:
    """One request and its response."""

    def __init__(self, req: func.HttpRequest, way: str) -> None:
        self._req = req
        self._way = way
        self._started = time.perf_counter()
        self._request_id = new_id("req")
        self._trace_id, self._trace_flags = trace_of(req.headers.get("traceparent"))
        telemetry.current_request_id.set(self._request_id)
        telemetry.trace_id.set(self._trace_id)

    async def report(self, kind: ReportKind) -> func.HttpResponse:
        try:
            consume = application().metering.consume  # the first call opens the stores, which may refuse
            holder = await consume.identify(self._req.headers)
            receipt = await consume.report(holder, kind, body_chunks(self._req), self._content_length())
        except Exception as error:  # noqa: BLE001 - sorted out in one place
            return self._refuse(error)
        return self._receipt(receipt)

    async def forward(self, service: str | None, path: str) -> func.HttpResponse:
        try:
            consume = application().metering.consume
            holder = await consume.identify(self._req.headers)
            if not service:
                raise _no_service()
            answer, headers = await consume.forward(holder, service, self._call(path))
            return await self._answer(answer, headers)
        except Exception as error:  # noqa: BLE001 - sorted out in one place
            return self._refuse(error)

    def _content_length(self) -> int | None:
        """Return the length of the body that the request gives; None when it is not known before its end."""
        if not isinstance(self._req, StreamedRequest):
            return len(self._req.get_body())
        length = self._req.headers.get("content-length")
        if length is None:
            return None if "transfer-encoding" in self._req.headers else 0
        return int(length)  # digits, or the host would have refused the request

    def _call(self, path: str) -> Call:
        req, length = self._req, self._content_length()
        return Call(
            request_id=self._request_id,
            method=req.method,
            path=path,
            query=urlsplit(req.url).query,
            headers=req.headers,
            body=body_chunks(req),
            has_body=length != 0,
            content_length=length,
            trace_id=self._trace_id,
            trace_flags=self._trace_flags,
        )

    async def _answer(self, answer: ForwardedAnswer, headers: dict[str, str]) -> func.HttpResponse:
        own = {**headers, **self._own_headers("upstream")}
        replaced = {name.lower() for name in own}
        headers = {**{name: value for name, value in answer.headers.items() if name not in replaced}, **own}
        self._observe("forwarded")
        if answer.chunks is None:
            if answer.body:
                # Else the host calls it text. This says no more than the upstream did (RFC 9110 §8.3).
                headers.setdefault("content-type", "application/octet-stream")
            return func.HttpResponse(answer.body, status_code=answer.status, headers=headers)
        streamed = StreamedResponse(status_code=answer.status, headers=headers, chunks=answer.chunks)
        try:
            return await complete(self._req, streamed)
        except ConnectionError as error:  # only where the host wants the whole answer first
            raise Problem(502, "upstream_unreachable", f"The merchant's API could not be reached: {error}.") from None

    def _receipt(self, receipt: UsageReportReceipt) -> func.HttpResponse:
        document: dict[str, object] = {
            "request_id": self._request_id,
            "accepted": receipt.accepted,
            "duplicates": receipt.duplicates,
            "rejected": [_rejected(rejected) for rejected in receipt.rejected],
        }
        if receipt.accepted or receipt.duplicates:
            self._observe("accepted" if not receipt.rejected else "partly_accepted")
            return self._json(202, "application/json", document)
        problem = Problem(422, "batch_rejected", "No event of the batch could be taken.")
        self._observe(problem.code)
        return self._json(422, PROBLEM_CONTENT_TYPE, {**problem_document(problem, self._request_id), **document})

    def _refuse(self, error: Exception) -> func.HttpResponse:
        if isinstance(error, ConnectionError):
            self._observe("client_closed_request")
            return func.HttpResponse(status_code=CLIENT_CLOSED_REQUEST)  # nobody is there to read it
        problem = _as_problem(error)
        self._observe(problem.code)
        document = problem_document(problem, self._request_id)
        return self._json(problem.status, PROBLEM_CONTENT_TYPE, document, problem.headers)

    def _observe(self, outcome: str) -> None:
        _outcome_counter(self._way, outcome).inc()
        _LATENCY[self._way].observe(time.perf_counter() - self._started)

    def _own_headers(self, answered_by: str) -> dict[str, str]:
        return {"X-AMS-Request-Id": self._request_id, "X-AMS-Answered-By": answered_by}

    def _json(
        self, status: int, content_type: str, document: object, headers: Mapping[str, str] = NO_HEADERS
    ) -> func.HttpResponse:
        return func.HttpResponse(
            msgspec.json.encode(document),
            status_code=status,
            headers={"Content-Type": content_type, "Cache-Control": "no-store", **self._own_headers("ams"), **headers},
        )


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, Unavailable):
        _logger.warning("consume is unavailable: %s", error)
        return unavailable()
    if isinstance(error, TimeoutError):
        return Problem(408, "request_timeout", "The request body came too slowly.")
    _logger.error("consume failed", exc_info=error)
    return Problem(500, "internal_error", "Something went wrong on our side.")


def _no_service() -> Problem:
    return Problem(
        415,
        "content_type_unsupported",
        "Send usage as application/cloudevents+json or application/cloudevents-batch+json,"
        " or name the service to call in X-AMS-Service.",
    )


def _rejected(rejected: RejectedEvent) -> dict[str, object]:
    problem = rejected.problem
    return {
        "index": rejected.index,
        "id": rejected.id,
        "code": problem.code,
        "detail": problem.detail,
        "errors": [{"field": error.field, "rule": error.rule} for error in problem.errors],
    }
