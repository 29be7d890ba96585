"""Health, metrics and downloads in the document (functions/http/health.py, metrics.py and downloads.py)."""

from typing import Any

from shared.api.openapi.problem_responses import problem_response
from shared.kernel.telemetry import METRICS_CONTENT_TYPE

_STATUS = {"type": "string", "enum": ["pass", "fail"]}
_LIVE = {
    "type": "object",
    "description": "State of the process.",
    "required": ["status"],
    "properties": {"status": {"const": "pass", "description": "Always `pass`: the process answers."}},
}
_CHECK = {
    "type": "object",
    "description": "State of one part that consume needs.",
    "required": ["status"],
    "properties": {
        "status": {**_STATUS, "description": "`pass` if the part works."},
        "reason": {"type": "string", "description": "Why the part does not work; absent while it works."},
    },
}
_READY = {
    "type": "object",
    "description": "Whether consume can work, with the state of each part that it needs.",
    "required": ["status", "checks"],
    "properties": {
        "status": {**_STATUS, "description": "`fail` as soon as one check fails."},
        "checks": {
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/HealthCheck"},
            "description": "State of each part, by name.",
        },
    },
}


def platform_schemas() -> dict[str, Any]:
    return {"HealthLive": _LIVE, "HealthCheck": _CHECK, "HealthReady": _READY}


def platform_paths() -> dict[str, Any]:
    return {
        "/api/downloads/{name}": {"get": _DOWNLOAD},
        "/api/health/live": {"get": _HEALTH_LIVE},
        "/api/health/ready": {"get": _HEALTH_READY},
        "/api/metrics": {"get": _METRICS},
    }


def _get(tag: str, operation_id: str, summary: str, description: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [tag],
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "security": [],
        "responses": responses,
    }


def _json(description: str, schema: str, example: object) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {"description": description, "content": {"application/json": content}}


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": True, "schema": {"type": "string"}, "description": description}


_HEALTH_LIVE = _get(
    "health",
    "readLiveness",
    "Check that the process is alive",
    "Liveness probe.",
    {"200": _json("The process is alive.", "HealthLive", {"status": "pass"})},
)
_HEALTH_READY = _get(
    "health",
    "readReadiness",
    "Check that consume can work",
    "Readiness probe for load balancers. Checks every part that consume needs.",
    {
        "200": _json(
            "Consume can work.", "HealthReady", {"status": "pass", "checks": {"documents": {"status": "pass"}}}
        ),
        "503": _json(
            "A part does not work; `reason` says why.",
            "HealthReady",
            {"status": "fail", "checks": {"documents": {"status": "fail", "reason": "no answer"}}},
        ),
    },
)
_METRICS = _get(
    "health",
    "readMetrics",
    "Read the metrics",
    "Metrics for Prometheus: counters and histograms of this machine's processes, and the event stream's current lag.",
    {
        "200": {
            "description": "Prometheus text exposition format.",
            "content": {METRICS_CONTENT_TYPE: {"schema": {"type": "string"}}},
        }
    },
)
_DOWNLOAD = {
    **_get(
        "downloads",
        "downloadDocument",
        "Download a document by its link",
        "Download a report or an invoice by a signed link, which other operations create and which lives for minutes."
        " The link needs no other credentials. Where the blob store has signed links of its own, links lead there and"
        " this operation is not used.",
        {
            "200": {
                "description": "The document, to be saved under the link's file name.",
                "headers": {
                    "Content-Disposition": {
                        "description": "Always `attachment`, with the file name.",
                        "schema": {"type": "string"},
                    }
                },
                "content": {"*/*": {"schema": {}}},
            },
            **{status: problem_response(status) for status in ("403", "404", "410", "500", "503")},
        },
    ),
    "parameters": [
        {
            "name": "name",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": "Path of the document; it may contain slashes.",
        },
        _query("expires", "Unix time at which the link expires."),
        _query("filename", "File name to save the document under."),
        _query("content_type", "Content type of the document."),
        _query("signature", "Signature of the link."),
    ],
}
